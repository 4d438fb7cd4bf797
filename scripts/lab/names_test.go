//go:build linux

package lab_test

import (
	"strings"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// A link that is pasted into the start page's field leads to its room, and so does the same name in
// other bytes, or with a slash behind it. What is too long is said, and stays in the field.
func TestNamesOfRoomsAndPeople(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})

	p := b.Open(server.HTTPS+"/", lab.PageOptions{Width: 390, Height: 844})
	p.Fill("#room", strings.Repeat("x", 129))
	p.Press("#room", "Enter")
	p.AwaitText(5*time.Second, "#room-problem", `129 characters.*128`)
	p.Fill("#room", "cafe\u0301\u200b")
	p.Press("#room", "Enter")
	p.Await(10*time.Second, "the room is written in one way", `location.pathname === "/call/caf%C3%A9"`)
	p.Close()

	p = b.Open(server.HTTPS+"/", lab.PageOptions{})
	p.Fill("#room", " "+server.HTTPS+"/call/Tea%2Ftime/?relay=1#token=a ")
	p.Press("#room", "Enter")
	p.Await(10*time.Second, "the link leads to its room, with what it says",
		`location.pathname === "/call/Tea%2Ftime" && location.search === "?relay=1"`)
	p.AwaitText(5*time.Second, "#room-name", `^Tea/time$`)
	p.Close()

	p = b.Open(server.HTTPS+"/call/cafe%CC%81/?name=%E2%80%8BAnn%20%CD%8F", lab.PageOptions{Width: 390, Height: 844})
	p.Await(10*time.Second, "the slash is gone", `location.pathname === "/call/cafe%CC%81"`)
	p.AwaitText(5*time.Second, "#room-name", "^caf\u00e9$")
	p.Await(10*time.Second, "the lobby knows the devices",
		`document.querySelector("#media-notes").childElementCount > 0
			|| document.querySelector("#preview").videoWidth > 0`)
	p.Fill("#name", strings.Repeat("工", 65))
	p.Click("#join")
	p.AwaitText(5*time.Second, "#name-problem", `65 characters.*64`)
	p.Await(time.Second, "nothing is cut, nor sent",
		`document.body.dataset.state === "lobby" && [...document.querySelector("#name").value].length === 65`)
	p.Shoot("name-too-long")
	p.Fill("#name", "\u200bAnn \u034f")
	p.Click("#join")
	p.Await(15*time.Second, "Ann is in the call", `document.body.dataset.state == "in-call"`)
	p.Await(5*time.Second, "her name is what others see", `localStorage.getItem("signalbox.name") === "Ann"`)
	p.Click("#chat-toggle")
	p.Fill("#chat-input", strings.Repeat("🫖", 2001))
	p.Press("#chat-input", "Enter")
	p.AwaitText(5*time.Second, "#chat-problem", `2001 characters.*2000`)
	p.Fill("#chat-input", strings.Repeat("🫖", 2000))
	p.Press("#chat-input", "Enter")
	p.Await(5*time.Second, "a message of that length is said",
		`[...document.querySelector("#chat-log .chat-text").innerText].length === 2000
			&& document.querySelector("#chat-problem").innerText === ""`)
	p.Shoot("chat")
}
