//go:build linux || darwin

package process

import (
	"io"
	"os"
	"time"
)

// lastOutput reads a pipe to its end, however much comes, and keeps the last bytes.
type lastOutput struct {
	pipe *os.File
	max  int
	kept []byte
	done chan struct{}
	err  error // of the reading; nil at the pipe's end
}

// readLast begins to read; finish ends it and closes the pipe.
func readLast(pipe *os.File, max int) *lastOutput {
	o := &lastOutput{pipe: pipe, max: max, done: make(chan struct{})}
	go o.read()
	return o
}

func (o *lastOutput) read() {
	defer close(o.done)
	buffer := make([]byte, 4<<10)
	for {
		n, err := o.pipe.Read(buffer)
		o.kept = append(o.kept, buffer[:n]...)
		if surplus := len(o.kept) - o.max; surplus > 0 {
			o.kept = append(o.kept[:0], o.kept[surplus:]...)
		}
		if err != nil {
			if err != io.EOF {
				o.err = err
			}
			return
		}
	}
}

// finish returns what was kept, and whether that is the end: after the given time somebody may still hold
// the other side of the pipe.
func (o *lastOutput) finish(within time.Duration) (kept []byte, complete bool) {
	defer o.pipe.Close()
	if err := o.pipe.SetReadDeadline(time.Now().Add(within)); err != nil {
		o.pipe.Close() // which ends the reading
	}
	<-o.done
	return o.kept, o.err == nil
}
