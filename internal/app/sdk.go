package app

import (
	"signalbox/internal/status"
	"signalbox/webui"
)

// WriteSDK writes the SDK that this build serves as an npm package of its version into a folder.
func WriteSDK(dir string) error { return webui.WritePackage(dir, status.Version()) }
