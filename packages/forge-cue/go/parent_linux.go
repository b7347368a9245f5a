package main

import "syscall"

// endWithParent has the kernel kill this process when the parent's thread that started it ends, however it ends.
func endWithParent() error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
