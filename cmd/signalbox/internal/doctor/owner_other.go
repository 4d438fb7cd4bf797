//go:build !unix

package doctor

import "io/fs"

func ownerOf(fs.FileInfo) (uid uint32, known bool) { return 0, false }

func fileLimit() (limit uint64, known bool) { return 0, false }
