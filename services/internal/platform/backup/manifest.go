package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// ManifestName is the file that says what a backup holds. It is written last: a folder without it is no backup.
const ManifestName = "manifest.json"

const manifestFormat = 1

// Manifest says what a backup holds.
type Manifest struct {
	Format int `json:"format"`
	// Program is the version of the program that has made it.
	Program string `json:"program"`
	// TakenAt is the moment that all databases show.
	TakenAt time.Time `json:"taken_at"`
	// Held is for how long nobody could write.
	Held      Duration   `json:"held"`
	Databases []Database `json:"databases"`
	// Files are the other files, such as keys.
	Files []File `json:"files,omitempty"`
}

// Duration is written for people, as 12ms.
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) {
	return []byte(time.Duration(d).Round(time.Microsecond).String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// File is a file of a backup.
type File struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Database is the copy of a database.
type Database struct {
	Name   string       `json:"name"`
	Engine store.Engine `json:"engine"`
	// Schema has the version of each set of migrations.
	Schema map[string]int64 `json:"schema"`
	File   File             `json:"file"`
}

// Read reads the manifest of a backup and holds every file against it.
func Read(dir string) (*Manifest, error) {
	text, err := os.ReadFile(filepath.Join(dir, ManifestName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is no complete backup: it has no %s", dir, ManifestName)
	}
	if err != nil {
		return nil, err
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("%s of %s: %w", ManifestName, dir, err)
	}
	if m.Format != manifestFormat {
		return nil, fmt.Errorf("%s has format %d, and this program knows %d: it was made by %s", dir, m.Format, manifestFormat, m.Program)
	}
	files := append([]File{}, m.Files...)
	for _, d := range m.Databases {
		files = append(files, d.File)
	}
	for _, f := range files {
		if f.Name != filepath.Base(f.Name) {
			return nil, fmt.Errorf("%s names %q, which is not in its folder", ManifestName, f.Name)
		}
		have, err := describe(filepath.Join(dir, f.Name))
		if err != nil {
			return nil, err
		}
		if have != f {
			return nil, fmt.Errorf("%s is damaged: it has %d bytes with checksum %.12s…, and %s says %d with %.12s…",
				filepath.Join(dir, f.Name), have.Bytes, have.SHA256, ManifestName, f.Bytes, f.SHA256)
		}
	}
	return &m, nil
}

func (m *Manifest) write(dir string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, ManifestName), bytes.NewReader(append(text, '\n')))
}

func describe(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	return File{Name: filepath.Base(path), Bytes: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// writeFile makes a file that was not there, for its owner only, and waits for the disk.
func writeFile(path string, content io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Sync(), f.Close())
}

// copyFile copies into a file that was not there.
func copyFile(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	return writeFile(to, f)
}

// syncFile waits until a file, or what a folder lists, is on the disk.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
