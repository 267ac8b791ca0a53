//go:build unix && !linux

package main

var onLinux []measurement
