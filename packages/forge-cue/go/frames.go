package main

import (
	"encoding/binary"
	"fmt"
	"io"
)

func readFrame(in io.Reader, limit int) ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(in, header[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header[:])
	if uint64(size) > uint64(limit) {
		return nil, fmt.Errorf("a frame of %d bytes exceeds the limit of %d", size, limit)
	}
	body := make([]byte, size)
	_, err := io.ReadFull(in, body)
	return body, err
}

func writeFrame(out io.Writer, body []byte) error {
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, len(body)+4), uint32(len(body)))
	_, err := out.Write(append(frame, body...))
	return err
}
