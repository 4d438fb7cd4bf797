// Command pion is a TURN server of plain pion/turn, to be measured beside the box:
//
//	pion ADDRESS PORT TLS-PORT CERTIFICATE KEY
//
// Its only user is "u" with the password "p".
package main

import (
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"

	"github.com/pion/turn/v4"
)

func main() {
	if len(os.Args) != 6 {
		log.Fatal("usage: pion ADDRESS PORT TLS-PORT CERTIFICATE KEY")
	}
	ip := net.ParseIP(os.Args[1])
	at := net.JoinHostPort(os.Args[1], os.Args[2])
	udp, err := net.ListenPacket("udp4", at)
	if err != nil {
		log.Fatal(err)
	}
	tcp, err := net.Listen("tcp4", at)
	if err != nil {
		log.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(os.Args[4], os.Args[5])
	if err != nil {
		log.Fatal(err)
	}
	secure, err := tls.Listen("tcp4", net.JoinHostPort(os.Args[1], os.Args[3]),
		&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	if err != nil {
		log.Fatal(err)
	}
	relay := &turn.RelayAddressGeneratorStatic{RelayAddress: ip, Address: ip.String()}
	server, err := turn.NewServer(turn.ServerConfig{
		Realm: "example.org",
		AuthHandler: func(user, realm string, _ net.Addr) ([]byte, bool) {
			return turn.GenerateAuthKey(user, realm, "p"), user == "u"
		},
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: udp, RelayAddressGenerator: relay}},
		ListenerConfigs: []turn.ListenerConfig{
			{Listener: tcp, RelayAddressGenerator: relay}, {Listener: secure, RelayAddressGenerator: relay},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt)
	<-interrupt
	fmt.Fprintln(os.Stderr, "pion:", server.Close())
}
