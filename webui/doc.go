// Package webui holds the pages of the appliance and the browser SDK, embedded in the binary.
//
//	/               what this box is, and a field that makes or joins a room
//	/call/{room}    a mesh video call, built on the SDK and on nothing else
//	/check          tests every ICE server of the box from the visitor's browser
//	/admin          sessions, rooms and allocations, after a one-time code
//	/trust          how to make a device trust the box's own certificate authority
//	/example        the smallest application on the SDK, to be read and copied
//	/docs/sdk       the SDK's documentation, made from its types, with examples that run
//	/signalbox.js   the SDK, one ES module; three more that applications may use beside it are
//	                /signalbox-data.js (JSON, files, questions between peers), /signalbox-media.js
//	                (devices) and /signalbox-stats.js (what goes through)
//	/assets/        styles and scripts of the pages, and the SDK with its types once more
//
// Where each thing is:
//
//	pages.go     the table of pages; a page is added here
//	docs.go      what /docs/sdk shows: the SDK's types (docs_types.go) with their comments
//	             (docs_prose.go); docs/ has what they don't say
//	pages/       their documents, which are templates, with the frame that they share
//	static/      what browsers get as it is: scripts, styles, texts, the SDK's types
//	sdk/         the SDK's parts. When the process starts, each module is joined into one file,
//	             packed (see join and pack); an editor and Node read them as they are
//	npm/         what else the SDK has as an npm package (see WritePackage)
//
// Nothing else is built, and nothing is fetched from elsewhere. A document gets five facts: the
// version, the https port, whether there is an authority to trust, the path of the assets, and what
// the SDK's types say (see facts). A page learns everything else over the signaling connection and
// from the JSON API.
//
// The package opens no socket and imports none of its siblings: it returns http.Handlers, which the
// caller mounts.
package webui
