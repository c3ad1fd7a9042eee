package jobs

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A client that has won an election is not stopped before it has heard of it, and one that hears nothing is not waited for
// without end.
func TestStopWaitsUntilTheElectionIsHeard(t *testing.T) {
	for name, heard := range map[string]bool{"heard": true, "never heard": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &leadership{}
				if won, err := l.elect(func() (bool, error) { return true, nil }); !won || err != nil {
					t.Fatal(won, err)
				}
				began, ended := time.Now(), make(chan struct{})
				go func() {
					defer close(ended)
					l.end(context.Background())
				}()
				synctest.Wait()
				select {
				case <-ended:
					t.Fatal("it may be stopped although it has not heard")
				default:
				}
				if heard {
					l.hear()
				}
				<-ended
				want := map[bool]time.Duration{false: hearWithin}[heard]
				if waited := time.Since(began); waited != want { // the clock of the bubble is exact
					t.Errorf("waited %s, want %s", waited, want)
				}
			})
		})
	}
}
