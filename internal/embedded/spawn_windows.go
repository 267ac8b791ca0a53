package embedded

import "os"

const supported = false

func spawn(string, []string, []string, *os.File) (*os.Process, error) { return nil, ErrUnsupported }
