package main

import "syscall"

// limitData bounds the heap of the process. The address space (RLIMIT_AS) is no measure: Go reserves far more than it uses.
func limitData(bytes uint64) error {
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return err
	}
	return syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: bytes, Max: bytes})
}
