package allinone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/tasuki-project/tasuki/services/gateway"
	"github.com/tasuki-project/tasuki/services/internal/platform/backup"
	"github.com/tasuki-project/tasuki/services/internal/platform/config"
)

// Storage says where the databases and keys of a house are.
type Storage struct {
	Data       string `help:"Folder of embedded databases and keys." default:".data" placeholder:"DIR"`
	DSN        string `name:"dsn" help:"PostgreSQL of all departments, with {department} in the database name; empty is a SQLite file per department in the data folder." placeholder:"DSN"`
	APIKeysDSN string `name:"api-keys-dsn" help:"Database of API keys; empty is a SQLite file in the data folder." placeholder:"DSN"`
}

type (
	backupCmd struct {
		Storage   `embed:""`
		To        string `help:"Folder to make for the backup." required:"" placeholder:"DIR"`
		PgDump    string `help:"PostgreSQL's pg_dump, at least as new as the server." default:"pg_dump" placeholder:"FILE"`
		PgRestore string `help:"PostgreSQL's pg_restore, with which a dump is read to its end." default:"pg_restore" placeholder:"FILE"`
	}
	restoreCmd struct {
		Storage   `embed:""`
		From      string   `help:"Folder of the backup." required:"" placeholder:"DIR"`
		Only      []string `help:"Only this database, for instance marketing; the others stay as they are. Repeat for several." placeholder:"NAME"`
		PgRestore string   `help:"PostgreSQL's pg_restore, at least as new as the server." default:"pg_restore" placeholder:"FILE"`
	}
)

// keysName is what a backup calls the database of API keys.
const keysName = "gateway"

// parts are the databases of all departments, and that of the API keys.
func (s Storage) parts() []backup.Part {
	var parts []backup.Part
	for _, def := range Definitions() {
		parts = append(parts, backup.Part{
			Name: def.Name.String(), DSN: database(s.DSN, s.Data, def.Name), Sets: def.Sets(), Feed: true,
		})
	}
	dsn := s.APIKeysDSN
	if dsn == "" {
		dsn = keysFile(s.Data)
	}
	return append(parts, backup.Part{Name: keysName, DSN: dsn, Sets: gateway.KeySets()})
}

func (c *backupCmd) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o := backup.Options{Parts: c.parts(), To: c.To, PgDump: c.PgDump, PgRestore: c.PgRestore}
	// Without API keys or an issuer of its own, a house has no file of them.
	if c.APIKeysDSN == "" && !exists(filepath.Join(c.Data, "gateway.db")) {
		o.Parts = slices.DeleteFunc(o.Parts, func(p backup.Part) bool { return p.Name == keysName })
	}
	if key := filepath.Join(c.Data, config.KeyFileName); exists(key) {
		o.Files = append(o.Files, key)
	}
	began := time.Now()
	m, err := backup.Take(ctx, o)
	if err != nil {
		return err
	}
	return printBackup(os.Stdout, m, c.To, time.Since(began))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}

func printBackup(out io.Writer, m *backup.Manifest, to string, took time.Duration) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "COPIED\tENGINE\tBYTES\tSHA-256")
	for _, d := range m.Databases {
		fmt.Fprintf(w, "%s\t%s\t%d\t%.16s…\n", d.File.Name, d.Engine, d.File.Bytes, d.File.SHA256)
	}
	for _, f := range m.Files {
		fmt.Fprintf(w, "%s\t\t%d\t%.16s…\n", f.Name, f.Bytes, f.SHA256)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	held, err := m.Held.MarshalText()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s holds the moment %s of every database, checked; writers were held for %s, all took %s.\nIt has personal data and keys: keep it as you keep those.\n",
		to, m.TakenAt.Format(time.RFC3339Nano), held, took.Round(time.Millisecond))
	return err
}

func (c *restoreCmd) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	m, err := backup.Read(c.From)
	if err != nil {
		return err
	}
	o := backup.RestoreOptions{From: c.From, Data: c.Data, PgRestore: c.PgRestore}
	has := func(p backup.Part) bool {
		return slices.ContainsFunc(m.Databases, func(d backup.Database) bool { return d.Name == p.Name })
	}
	for _, p := range c.parts() {
		switch {
		case len(c.Only) > 0 && slices.Contains(c.Only, p.Name), len(c.Only) == 0 && (p.Name != keysName || has(p)):
			o.Parts = append(o.Parts, p)
		}
	}
	if len(c.Only) == 0 {
		for _, f := range m.Files {
			o.Files = append(o.Files, f.Name)
		}
		if entries, err := os.ReadDir(c.Data); err == nil && len(entries) > 0 {
			return fmt.Errorf("--data: %s is not empty: a restore overwrites nothing, so stop what runs on it and move it away", c.Data)
		} else if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("--data: %w", err)
		}
	} else if len(o.Parts) != len(c.Only) {
		return fmt.Errorf("--only %s: databases are %s", strings.Join(c.Only, ","), partNames(c.parts()))
	}
	if _, err = backup.Restore(ctx, o); err != nil {
		return err
	}
	return c.sayNext(os.Stdout, m, o.Parts)
}

func partNames(parts []backup.Part) string {
	var names []string
	for _, p := range parts {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

func (c *restoreCmd) sayNext(out io.Writer, m *backup.Manifest, parts []backup.Part) error {
	where := "--data " + c.Data
	if c.DSN != "" {
		where += " --dsn …"
	}
	text := fmt.Sprintf(`Back as at %s: %s.
Next:
  tasuki up %s        or the programs of the departments
  tasuki reconcile --data %s    compares the ledgers of all departments
`, m.TakenAt.Format(time.RFC3339), partNames(parts), where, c.Data)
	if len(c.Only) > 0 {
		text += "The other departments know more than these do now: docs/backup.md says what to do about it.\n"
	}
	_, err := io.WriteString(out, text)
	return err
}
