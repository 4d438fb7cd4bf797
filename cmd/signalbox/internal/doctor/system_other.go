//go:build !linux

package doctor

func clockSynced() (synced, known bool) { return false, false }

func fileLimitOf(int) (limit uint64, known bool) { return 0, false }

func receiveBuffer() (largest int, lost uint64, known bool) { return 0, 0, false }

func holders(map[uint16]bool) []holder { return nil }
