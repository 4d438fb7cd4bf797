//go:build linux

// Command up brings a lab up for exploring by hand and runs a command beside
// it, or a shell; when that ends, the lab goes down.
//
//	go run ./scripts/lab/up -a symmetric -b udpblock
//	go run ./scripts/lab/up -a port -- tcpdump ...
//
// It prints how to enter each namespace. The command finds their names in its
// environment, as LAB_A, LAB_B, LAB_NATA, LAB_NATB and LAB_SERVER.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"

	"signalbox/scripts/lab"
)

func main() {
	a := flag.String("a", string(lab.Symmetric), fmt.Sprintf("NAT in front of client A, one of %v", lab.NATs()))
	b := flag.String("b", string(lab.Symmetric), "NAT in front of client B")
	flag.Parse()
	command := flag.Args()
	if len(command) == 0 {
		command = []string{"bash"}
	}
	if err := run(lab.NAT(*a), lab.NAT(*b), command); err != nil {
		fmt.Fprintln(os.Stderr, "up:", err)
		os.Exit(1)
	}
}

func run(a, b lab.NAT, command []string) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces take root")
	}
	l, err := lab.Up(a, b)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Down()) }()

	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = os.Environ()
	for _, host := range []struct {
		name, what, addr string
		in               *lab.Namespace
	}{
		{"A", "client behind NATA", lab.AddrA, l.A},
		{"B", "client behind NATB", lab.AddrB, l.B},
		{"NATA", string(a), lab.AddrNATA, l.NATA},
		{"NATB", string(b), lab.AddrNATB, l.NATB},
		{"SERVER", "server", lab.AddrServer + ", " + lab.AddrServer2, l.Server},
	} {
		fmt.Printf("%-7s %-19s %-27s ip netns exec %s bash\n", host.name, host.what, host.addr, host.in.Name)
		cmd.Env = append(cmd.Env, "LAB_"+host.name+"="+host.in.Name)
	}
	return cmd.Run()
}
