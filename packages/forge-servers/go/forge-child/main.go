// Command forge-child becomes another program that is sent a signal when the process that started it dies.
//
//	forge-child PARENT-PID SIGNAL-NUMBER PROGRAM [ARGUMENT...]
//
// PROGRAM is a path. It keeps the process id, the environment and the open files.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

func init() {
	// The signal is a property of the thread that becomes the program.
	runtime.LockOSThread()
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "forge-child:", err)
		os.Exit(127)
	}
}

func run(arguments []string) error {
	if len(arguments) < 3 {
		return fmt.Errorf("usage: forge-child PARENT-PID SIGNAL-NUMBER PROGRAM [ARGUMENT...]")
	}
	parent, err := strconv.Atoi(arguments[0])
	if err != nil {
		return fmt.Errorf("parent: %w", err)
	}
	signal, err := strconv.Atoi(arguments[1])
	if err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	if _, _, code := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(signal), 0); code != 0 {
		return fmt.Errorf("prctl: %w", code)
	}
	// A parent that died before the call above sends nothing any more.
	if os.Getppid() != parent {
		return fmt.Errorf("the parent %d is gone", parent)
	}
	program := arguments[2]
	return fmt.Errorf("%s: %w", program, syscall.Exec(program, arguments[2:], os.Environ()))
}
