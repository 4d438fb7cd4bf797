// Package webui holds the pages of the appliance and the browser SDK, embedded in the binary.
//
//	/               what this box is, and a field that makes or joins a room
//	/call/{room}    a mesh video call, built on the SDK and on nothing else
//	/check          tests every ICE server of the box from the visitor's browser
//	/admin          sessions, rooms and allocations, after a one-time code
//	/trust          how to make a device trust the box's own certificate authority
//	/example        the smallest application on the SDK, to be read and copied
//	/signalbox.js   the SDK, one ES module
//	/assets/        styles and modules of the pages
//
// Nothing is built, bundled or fetched from elsewhere: what lies in static/ is what a browser gets.
// A page knows three facts from Go: the version, the https port, and whether there is an authority
// to trust (see page); everything else it learns over the signaling connection and the JSON API.
//
// The package opens no socket and knows none of its siblings: it hands out http.Handlers, and the
// caller mounts them.
package webui
