// Package batch runs a command for many in one call: those that can be done are, and the others answer why not.
package batch

import (
	"context"
	"fmt"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Command is a command that is given to many by their ids.
type Command[Q interface{ GetId() string }, T any] struct {
	// Prepare may read and lock in one go what all need, in the order of the ids; Do runs under the context that it returns, or without
	// it, see store.Each.
	Prepare func(ctx context.Context, tx store.Tx, ids []string) (context.Context, error)
	// Do is the command for one, in the caller's transaction.
	Do func(ctx context.Context, tx store.Tx, req Q) (T, error)
}

// Outcome is what became of one request.
type Outcome[T any] struct {
	Done T
	// Refused is why it was not done; nil when it was.
	Refused *spb.Status
}

// Run does all requests in one transaction, in their order, and returns the answer that is made of their outcomes: that is what an
// idempotency key keeps. A request that is refused leaves nothing behind, and does not hold up the others. The error is
// INVALID_ARGUMENT when an id comes twice; what is nobody's fault, as INTERNAL, is for all as well.
func Run[Q interface{ GetId() string }, T, R any](ctx context.Context, db *store.DB, reqs []Q, c Command[Q, T], answer func([]Outcome[T]) R) (R, error) {
	ids, err := distinct(reqs)
	if err != nil {
		return *new(R), err
	}
	// It shares a transaction by itself, and takes longer than others should wait for.
	return store.Write(store.Alone(ctx), db, func(tx store.Tx) (R, error) {
		outcomes := make([]Outcome[T], len(reqs))
		prepare := func(ctx context.Context) (context.Context, error) { return c.Prepare(ctx, tx, ids) }
		errs, err := store.Each(ctx, tx, len(reqs), prepare, func(ctx context.Context, i int) (err error) {
			outcomes[i].Done, err = c.Do(ctx, tx, reqs[i])
			return err
		})
		if err != nil {
			return *new(R), err
		}
		for i, err := range errs {
			status := problem.Status(ctx, err)
			if status.Code() == codes.Internal {
				return *new(R), err
			}
			outcomes[i].Refused = status.Proto()
		}
		return answer(outcomes), nil
	})
}

// distinct are the ids of requests.
func distinct[Q interface{ GetId() string }](reqs []Q) ([]string, error) {
	first, ids := map[string]int{}, make([]string, len(reqs))
	for i, req := range reqs {
		ids[i] = req.GetId()
		if j, twice := first[ids[i]]; twice {
			return nil, problem.Invalid(problem.Field(fmt.Sprintf("requests[%d].id", i), fmt.Sprintf("is that of requests[%d] too: name each once", j)).
				Ja(fmt.Sprintf("requests[%d] と同じ ID です。1 件につき 1 回だけ指定してください。", j)))
		}
		first[ids[i]] = i
	}
	return ids, nil
}
