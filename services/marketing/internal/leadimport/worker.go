package leadimport

import (
	"context"
	"time"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/marketing/internal/lead"
)

const (
	// chunk is how many rows one transaction takes.
	chunk = 500
	// attempts is how often a chunk is tried, over several runs of the job, before the import is given up.
	attempts = 10
	// margin is how long before its deadline a run ends in peace.
	margin = 20 * time.Second
)

// Args are the arguments of the job that works through an import.
type Args struct {
	ImportID string `json:"import_id"`
}

// Kind implements jobs.Args.
func (Args) Kind() string { return "lead.import" }

// Importer takes in files and works through them.
type Importer struct {
	DB     *store.DB
	Clock  clock.Clock
	Events *event.Log
	Jobs   *jobs.Jobs
	Desk   *lead.Desk
}

// Register makes the importer do its job.
func (im *Importer) Register() { jobs.Register(im.Jobs, im.work) }

func (im *Importer) work(ctx context.Context, job *jobs.Job[Args]) error {
	err := im.run(ctx, job.Args.ImportID)
	if err == nil || job.Attempt < attempts || ctx.Err() != nil {
		return err
	}
	// Trying again does not help.
	_, err = store.Write(ctx, im.DB, func(tx store.Tx) (*Import, error) {
		i, err := getForUpdate(ctx, tx, job.Args.ImportID)
		if err != nil || i.isFinal() {
			return i, err
		}
		i.Fail(im.Clock.Now())
		return i, im.save(ctx, tx, i)
	})
	return err
}

// run works through the rest of the file, or as much of it as the deadline allows.
func (im *Importer) run(ctx context.Context, id string) error {
	type file struct {
		*Import
		content []byte
	}
	f, err := store.Read(ctx, im.DB, func(tx store.Tx) (file, error) {
		i, err := get(ctx, tx, id)
		if err != nil || i.isFinal() {
			return file{Import: i}, err
		}
		data, err := content(ctx, tx, id)
		return file{i, data}, err
	})
	if err != nil || f.isFinal() {
		return err
	}
	text, _, err := decode(f.content, encodingArg(f.Encoding))
	if err != nil {
		return err
	}
	t, err := understand(text)
	if err != nil {
		return err
	}
	rd := &reader{columns: f.Columns, source: f.Source, importID: id}
	seen := map[string]bool{}
	if f.DryRun {
		for _, rec := range t.rows[:min(int(f.Processed), len(t.rows))] {
			remember(seen, rd.read(rec), im)
		}
	}
	ctx = f.sender(ctx)
	for i := f.Import; !i.isFinal(); {
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < margin {
			return jobs.Again(time.Millisecond)
		}
		from := int(min(i.Processed, int64(len(t.rows))))
		rows := make([]row, 0, chunk)
		for _, rec := range t.rows[from:min(from+chunk, len(t.rows))] {
			r := rd.read(rec)
			r.capture.Tidy(im.Desk.Model, im.Clock.Now())
			rows = append(rows, r)
		}
		if i, err = im.step(ctx, id, int64(from), rows, seen); err != nil {
			return err
		}
	}
	return nil
}

// step stores what becomes of the next rows, in one transaction. When somebody else was faster it only says how far it is.
func (im *Importer) step(ctx context.Context, id string, from int64, rows []row, seen map[string]bool) (*Import, error) {
	i, err := lead.RetryUnique(ctx, im.DB, func(tx store.Tx) (*Import, error) {
		i, err := getForUpdate(ctx, tx, id)
		if err != nil || i.isFinal() || i.Processed != from {
			return i, err
		}
		results, err := im.take(ctx, tx, i, rows, seen)
		if err != nil {
			return nil, err
		}
		outcomes := make([]Outcome, len(results))
		for n := range results {
			results[n].Row, results[n].Line = from+int64(n)+1, int64(rows[n].line)
			results[n].Problems, results[n].Warnings = rows[n].problems, rows[n].warnings
			outcomes[n] = results[n].Outcome
		}
		if err := insertRows(ctx, tx, id, results); err != nil {
			return nil, err
		}
		i.Count(outcomes, im.Clock.Now())
		return i, im.save(ctx, tx, i)
	})
	if err == nil && i.DryRun {
		for _, r := range rows {
			remember(seen, r, im)
		}
	}
	return i, err
}

// take captures the valid rows, or in a dry run says what would become of them.
func (im *Importer) take(ctx context.Context, tx store.Tx, i *Import, rows []row, seen map[string]bool) ([]rowResult, error) {
	results := make([]rowResult, len(rows))
	var captures []lead.Capture
	var at []int // index of the row of each capture
	for n, r := range rows {
		if len(r.problems) > 0 {
			results[n].Outcome = Invalid
			continue
		}
		captures, at = append(captures, r.capture), append(at, n)
	}
	if len(captures) == 0 {
		return results, nil
	}
	if i.DryRun {
		return results, im.preview(ctx, tx, captures, at, results, seen)
	}
	done, err := im.Desk.Capture(ctx, tx, captures)
	if err != nil {
		return nil, err
	}
	for n, d := range done {
		result := &results[at[n]]
		if d.Suppressed { // somebody who was erased: nothing is kept
			result.Outcome = Excluded
			continue
		}
		result.LeadID = d.Lead.ID
		switch {
		case !d.New:
			result.Outcome = Duplicate
		case d.Lead.State == lead.Excluded:
			result.Outcome = Excluded
		default:
			result.Outcome = Created
		}
	}
	return results, nil
}

func (im *Importer) preview(ctx context.Context, tx store.Tx, captures []lead.Capture, at []int, results []rowResult, seen map[string]bool) error {
	judged, err := im.Desk.Preview(ctx, tx, captures)
	if err != nil {
		return err
	}
	earlier := map[string]bool{}
	for n, j := range judged {
		result, key := &results[at[n]], captures[n].Person.MatchKey()
		result.LeadID = j.LeadID
		switch {
		case j.LeadID != "" || seen[key] || earlier[key]:
			result.Outcome = Duplicate
		case j.Excluded:
			result.Outcome = Excluded
		default:
			result.Outcome = Created
		}
		earlier[key] = true
	}
	return nil
}

// remember keeps who was in the file already, for a dry run.
func remember(seen map[string]bool, r row, im *Importer) {
	if len(r.problems) == 0 {
		r.capture.Tidy(im.Desk.Model, im.Clock.Now())
		seen[r.capture.Person.MatchKey()] = true
	}
}

// save stores the progress, and says so when it has ended. The file goes then: what it says of people is in the leads.
func (im *Importer) save(ctx context.Context, tx store.Tx, i *Import) error {
	update(tx, i)
	if !i.isFinal() {
		return nil
	}
	dropContent(tx, i.ID)
	return im.Events.Append(ctx, tx, event.Event{
		Subject: subject(i.ID), SubjectVersion: 2, Data: &pb.LeadImportFinished{LeadImport: i.proto()},
	})
}

func subject(id string) string { return "lead-import/" + id }
