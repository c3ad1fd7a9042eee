// Package leadimport is the aggregate of imports: a file of leads, and what became of each of its rows.
//
// file.go, columns.go, values.go and row.go understand a file, without I/O. worker.go works through it in chunks: each is
// one transaction that also moves the progress, so a program that is killed goes on where it stopped, and no row counts
// twice.
package leadimport

import (
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
)

// State is where an import stands, as tables store it.
type State string

// The states.
const (
	Queued  State = "QUEUED"
	Running State = "RUNNING"
	Done    State = "DONE"
	Failed  State = "FAILED"
)

// Outcome is what became of a row, as tables store it.
type Outcome string

// The outcomes.
const (
	Created   Outcome = "CREATED"
	Duplicate Outcome = "DUPLICATE"
	Excluded  Outcome = "EXCLUDED"
	Invalid   Outcome = "INVALID"
)

// failure is why an import was given up.
type failure struct {
	En string `json:"en"`
	Ja string `json:"ja"`
}

var gaveUp = failure{
	En: "the rest of the file could not be worked through; the rows that are done stay: send the file again",
	Ja: "残りの行を処理できませんでした。処理済みの行はそのままです。ファイルを再度送信してください。",
}

// Import is a file of leads and how far it has come.
type Import struct {
	ID, Filename string
	State        State
	Encoding     string
	Source       string
	DryRun       bool
	SizeBytes    int64
	Total        int64
	Processed    int64
	Created      int64
	Duplicate    int64
	Excluded     int64
	Invalid      int64
	Columns      []column
	Error        *failure
	CreatedAt    time.Time
	FinishedAt   *time.Time
	CreatedBy    access.Actor
}

// isFinal: nothing will happen to it any more.
func (i *Import) isFinal() bool { return i.State == Done || i.State == Failed }

// Count takes in the outcomes of the next rows.
func (i *Import) Count(outcomes []Outcome, now time.Time) {
	for _, outcome := range outcomes {
		i.Processed++
		switch outcome {
		case Created:
			i.Created++
		case Duplicate:
			i.Duplicate++
		case Excluded:
			i.Excluded++
		case Invalid:
			i.Invalid++
		}
	}
	i.State = Running
	if i.Processed >= i.Total {
		i.State, i.FinishedAt = Done, &now
	}
}

// Fail gives it up.
func (i *Import) Fail(now time.Time) {
	i.State, i.Error, i.FinishedAt = Failed, &gaveUp, &now
}
