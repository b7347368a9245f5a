// Command forge-cue-evaluator evaluates CUE held in memory for the Python client forge_cue.
//
// Standard input and output carry frames: a 4-byte big-endian length, then JSON (protocol.go). One request is served at a
// time. The program reads no file and no environment setting, opens no connection, and ends with its standard input.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

const (
	exitUsage    = 64
	exitProtocol = 65
	exitDeadline = 70

	// A goroutine's stack doubles: only a power of two is a limit that can be reached exactly.
	maxStackBytes = 64 << 20
)

func main() {
	// The signal at the parent's end belongs to the thread that asked for it, so that thread must stay.
	runtime.LockOSThread()
	memory := flag.Uint64("memory-limit", 0, "bytes of data the process may hold")
	deadline := flag.Duration("time-limit", 0, "time after which a request ends the process")
	input := flag.Int("input-limit", 0, "bytes of a request")
	output := flag.Int("output-limit", 0, "bytes of a response")
	flag.Parse()
	if *memory == 0 || *deadline <= 0 || *input <= 0 || *output <= 0 {
		fmt.Fprintln(os.Stderr, "all four limits are required")
		os.Exit(exitUsage)
	}
	if err := confine(*memory); err != nil {
		fmt.Fprintln(os.Stderr, "cannot set the limits:", err)
		os.Exit(exitUsage)
	}
	server := &server{limits: limits{deadline: *deadline, input: *input, output: *output}}
	if err := server.serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "protocol error:", err)
		os.Exit(exitProtocol)
	}
}

type limits struct {
	deadline time.Duration
	input    int
	output   int
}

func confine(memory uint64) error {
	debug.SetMaxStack(maxStackBytes)
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(int64(memory / 10 * 8))
	if err := limitData(memory); err != nil {
		return err
	}
	return endWithParent()
}
