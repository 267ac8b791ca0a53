package manager

// makePrivate: what a user's process makes inherits the rights of its directory there.
func makePrivate() {}

func privately(act func() error) error { return act() }
