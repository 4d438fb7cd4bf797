package webui

// StartPage is the pattern of the start page, which an operator may replace.
const StartPage = "GET /{$}"

// pageRow is one row of the table of pages. The rest of a page is found by its name:
//
//	pages/NAME.html          the document; its title is the text NAME.title
//	static/js/NAME.js        its script, or, if that is of several modules, static/js/NAME/main.js
//	static/css/NAME.css      its own style, if it has one
//	static/js/lang/*/*.js    its texts, in every language
type pageRow struct {
	name    string
	pattern string   // of http.ServeMux
	toStart []string // patterns close by that lead to the start page instead
	trust   bool     // only for a box that is its own certificate authority
}

// slashed is the pattern of the same page with a slash behind its path, as people and tools write
// it. Empty: it has one already.
func (row pageRow) slashed() string {
	if row.pattern == StartPage {
		return ""
	}
	return row.pattern + "/{$}"
}

// pageTable is where a page is added: with a row, and the files that go by its name.
func pageTable() []pageRow {
	return []pageRow{
		// What this box is, and a field that makes or joins a room.
		{name: "home", pattern: StartPage},
		// A room's call. The script reads the room's name from the path; without a name there is no
		// room.
		{name: "call", pattern: "GET /call/{room}", toStart: []string{"GET /call", "GET /call/{$}"}},
		// Rooms of another protocol's clients have a name in two parts: apprtc/NAME.
		{name: "call", pattern: "GET /call/{space}/{room}"},
		// Tests every ICE server of the box.
		{name: "check", pattern: "GET /check"},
		// Sessions, rooms and allocations, from the admin API, with a token.
		{name: "admin", pattern: "GET /admin"},
		// The smallest application on the SDK.
		{name: "example", pattern: "GET /example"},
		// The SDK's documentation, made from its types.
		{name: "sdk", pattern: "GET /docs/sdk"},
		// How a device trusts the box's authority. It needs what the router serves at /ca.crt,
		// /ca.pem, /api/trust and /trust/qr.svg.
		{name: "trust", pattern: "GET /trust", trust: true},
	}
}
