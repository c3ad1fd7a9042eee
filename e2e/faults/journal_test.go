package faults

import (
	"fmt"
	"sync"

	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// journal is what callers did and were told.
type journal struct {
	mu sync.Mutex
	// captures by mail address: the lead that was acknowledged, nil while nothing was.
	captures map[string]*marketingv1.Lead
	// decisions that were acknowledged, by handoff and attempt.
	decisions map[attempt]map[decision]bool
	// calls that were logged, by their note; true when acknowledged.
	calls map[string]bool
	// won are the opportunities whose win was acknowledged.
	won map[string]bool
	// answers by code, requests that were sent for captures.
	answers map[string]int
	sent    int
	wrongs  []string
}

type attempt struct {
	handoff string
	n       int32
}

type decision struct{ command, by string }

func newJournal() *journal {
	return &journal{
		captures: map[string]*marketingv1.Lead{}, decisions: map[attempt]map[decision]bool{}, calls: map[string]bool{},
		won: map[string]bool{}, answers: map[string]int{},
	}
}

// note changes the journal.
func (j *journal) note(change func(j *journal)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(j)
}

// mostWrongs is how many are kept: more do not help.
const mostWrongs = 50

// wrong notes what must not happen, whatever is broken.
func (j *journal) wrong(format string, args ...any) {
	j.note(func(j *journal) {
		if len(j.wrongs) < mostWrongs {
			j.wrongs = append(j.wrongs, fmt.Sprintf(format, args...))
		}
	})
}

func (j *journal) decided(a attempt, d decision) {
	j.note(func(j *journal) {
		if j.decisions[a] == nil {
			j.decisions[a] = map[decision]bool{}
		}
		j.decisions[a][d] = true
	})
}

// tried notes a call that may have been logged.
func (j *journal) tried(note string) {
	j.note(func(j *journal) {
		if _, before := j.calls[note]; !before {
			j.calls[note] = false
		}
	})
}
