//go:build linux || darwin

package process

import (
	"bytes"
	"encoding/binary"
)

// procArgsEnviron finds the environment in what macOS answers to kern.procargs2: the count of arguments,
// the program's path, padding, the arguments, the variables, an empty string, and the kernel's own.
func procArgsEnviron(raw []byte) []byte {
	if len(raw) < 4 {
		return nil
	}
	count := binary.NativeEndian.Uint32(raw)
	_, rest, _ := bytes.Cut(raw[4:], []byte{0})
	rest = bytes.TrimLeft(rest, "\x00")
	for range count {
		var found bool
		if _, rest, found = bytes.Cut(rest, []byte{0}); !found {
			return nil
		}
	}
	if end := bytes.Index(rest, []byte{0, 0}); end >= 0 {
		rest = rest[:end+1]
	}
	return rest
}
