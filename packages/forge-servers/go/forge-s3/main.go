// Command forge-s3 serves S3 from a folder, on versitygw's POSIX backend.
//
// The keys are read from FORGE_S3_ACCESS_KEY and FORGE_S3_SECRET_KEY.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

const (
	maximumConnections = 4096
	maximumParts       = 10000
)

type options struct {
	address, data, versions, sidecar string
	region, accessLog                string
}

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC)
	if err := run(parse()); err != nil {
		log.Fatal("forge-s3: ", err)
	}
}

func parse() *options {
	o := &options{}
	flag.StringVar(&o.address, "address", "127.0.0.1:7070", "host:port to listen on")
	flag.StringVar(&o.data, "data", "", "folder of the buckets (required)")
	flag.StringVar(&o.versions, "versions", "", "folder of older object versions (required)")
	flag.StringVar(&o.sidecar, "sidecar", "", "folder of metadata, used where extended attributes don't work (required)")
	flag.StringVar(&o.region, "region", "us-east-1", "region told to clients")
	flag.StringVar(&o.accessLog, "access-log", "", "file of one line per request, - for standard output; none when empty")
	flag.Parse()
	return o
}

func run(o *options) error {
	access, secret := os.Getenv("FORGE_S3_ACCESS_KEY"), os.Getenv("FORGE_S3_SECRET_KEY")
	if access == "" || secret == "" {
		return errors.New("FORGE_S3_ACCESS_KEY and FORGE_S3_SECRET_KEY must be set")
	}
	if o.data == "" || o.versions == "" || o.sidecar == "" || flag.NArg() > 0 {
		return errors.New("-data, -versions and -sidecar are required, and nothing else is taken")
	}
	store, sidecar, err := metadata(o.data, o.sidecar)
	if err != nil {
		return err
	}
	backend, err := posix.New(o.data, store, posix.PosixOpts{VersioningDir: o.versions, SideCarDir: sidecar})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = embedgw.RunVersityGW(ctx, backend, &embedgw.Config{
		RootUserAccess:    access,
		RootUserSecret:    secret,
		Region:            o.region,
		Ports:             []string{o.address},
		MaxConnections:    maximumConnections,
		MaxRequests:       maximumConnections,
		MultipartMaxParts: maximumParts,
		HealthPath:        "/health",
		KeepAlive:         true,
		Quiet:             true,
		AccessLog:         o.accessLog,
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// metadata prefers extended attributes, which move with the files. Metadata that once was written beside them stays
// there: otherwise a folder that moves to another file system would lose it.
func metadata(data, sidecar string) (meta.MetadataStorer, string, error) {
	used, err := os.ReadDir(sidecar)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, "", err
	}
	if len(used) == 0 && attributesWork(data) {
		return meta.XattrMeta{}, "", nil
	}
	if err := os.MkdirAll(sidecar, 0o700); err != nil {
		return nil, "", err
	}
	store, err := meta.NewSideCar(sidecar)
	if err != nil {
		return nil, "", fmt.Errorf("sidecar: %w", err)
	}
	return store, sidecar, nil
}

func attributesWork(folder string) bool {
	const name = "forge-probe"
	attributes := meta.XattrMeta{}
	if attributes.StoreAttribute(nil, folder, "", name, []byte("1")) != nil {
		return false
	}
	return attributes.DeleteAttribute(folder, "", name) == nil
}
