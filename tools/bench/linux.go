//go:build linux

package main

// onLinux is what can be measured where there is a /proc.
var onLinux = append([]measurement{
	{"provider-memory", measureProviderMemory, 3},
	{"restart", measureRestart, 3},
	{"rest", measureRest, 3},
	{"memory", measureMemory, 1},
	{"probing", measureProbing, 3},
}, besidePeers()...)

func besidePeers() (all []measurement) {
	for _, other := range peers {
		all = append(all, measurement{other.program, measurePeer(other), 3})
	}
	return all
}
