//go:build !unix

package site

// doNotWait is no flag where files of a directory are never pipes.
const doNotWait = 0
