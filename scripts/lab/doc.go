// Package lab brings up a small internet in Linux network namespaces and runs
// the real signalbox binary and real browsers in it.
//
//	 10.0.1.2      203.0.113.1                  203.0.113.2      10.0.2.2
//	┌────────┐     ┌────────┐   ┌────────┐     ┌────────┐      ┌────────┐
//	│   A    ├─────┤  NATA  ├───┤ (br0)  ├─────┤  NATB  ├──────┤   B    │
//	└────────┘     └────────┘   └───┬────┘     └────────┘      └────────┘
//	                            ┌───┴────┐
//	                            │ Server │ 203.0.113.10, 203.0.113.11
//	                            └────────┘
//
// Each NAT behaves as its [NAT] mode says, from endpoint-independent to
// symmetric to a firewall that lets nothing out but TCP 80 and 443. Nothing
// leaves the machine: the namespaces have no way out, which [Lab.Sealed] checks.
//
// An [Option] gives the outside addresses that count as public, or puts the
// server behind 1:1 NAT. [Lab.AddHost] adds hosts that are behind no NAT,
// [Lab.AddNeighbor] one behind that of the server, and [Namespace.Capture]
// shows which packets a host sends and receives.
//
// Every lab's namespaces carry the name of the process that made them, so that
// several labs run at once, and so that the next one can clear up what a
// killed process left behind.
//
// Building a lab takes root and the tools that scripts/test installs;
// [Require] skips a test that lacks them, or fails it when SIGNALBOX_TEST_ALL
// is set. The package is empty on systems other than Linux.
package lab
