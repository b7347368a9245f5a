package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

type server struct {
	limits  limits
	schemas schemaCache
}

// serve answers requests until the input ends.
func (s *server) serve(in io.Reader, out io.Writer) error {
	frames := make(chan []byte)
	failed := make(chan error, 1)
	go func() { failed <- s.read(bufio.NewReader(in), frames) }()
	for {
		select {
		case err := <-failed:
			return err
		case frame := <-frames:
			if err := s.answer(frame, out); err != nil {
				return err
			}
		}
	}
}

// read goes on reading while a request is evaluated: without a reader for the answer there is no use in finishing it.
func (s *server) read(in io.Reader, frames chan<- []byte) error {
	for {
		frame, err := readFrame(in, s.limits.input)
		if errors.Is(err, io.EOF) {
			os.Exit(0)
		}
		if err != nil {
			return err
		}
		frames <- frame
	}
}

func (s *server) answer(frame []byte, out io.Writer) error {
	timer := time.AfterFunc(s.limits.deadline, func() { os.Exit(exitDeadline) })
	defer timer.Stop()
	var asked request
	if err := json.Unmarshal(frame, &asked); err != nil {
		return err
	}
	body, err := json.Marshal(s.guarded(&asked))
	if err != nil {
		return err
	}
	if len(body) > s.limits.output {
		body, err = json.Marshal(response{ID: asked.ID, Limit: "output"})
		if err != nil {
			return err
		}
	}
	return writeFrame(out, body)
}

func (s *server) guarded(asked *request) (answer response) {
	defer func() {
		if reason := recover(); reason != nil {
			answer = response{ID: asked.ID, Failure: fmt.Sprint(reason)}
		}
	}()
	return s.evaluate(asked)
}

func (s *server) evaluate(asked *request) response {
	answer := response{ID: asked.ID, Errors: []cueError{}, Results: []result{}}
	compiled, problems := s.schemas.compile(asked.Schema)
	if len(problems) > 0 {
		answer.Errors = problems
		return answer
	}
	size := 0
	for i := range asked.Instances {
		one := evaluateInstance(&asked.Instances[i], compiled, asked.Fills)
		answer.Results = append(answer.Results, one)
		if size += len(one.Value) + len(one.Partial); size > s.limits.output {
			return response{ID: asked.ID, Limit: "output"}
		}
	}
	return answer
}
