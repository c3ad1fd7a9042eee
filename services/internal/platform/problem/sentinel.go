package problem

import (
	"context"
	"errors"

	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// sentinel maps the errors that lower packages of the platform return on purpose. Violated constraints are not among
// them: a handler that expects one says what it means, and one that nobody expects is a bug.
func sentinel(ctx context.Context, err error) *Error {
	var mismatch *etag.MismatchError
	switch {
	case errors.As(err, &mismatch):
		return EtagMismatch(etag.Format(mismatch.Current)).Because(err)
	case errors.Is(err, page.ErrToken):
		return PageTokenInvalid().Because(err)
	case errors.Is(err, store.ErrNoRows):
		return NotFound("resource", "").Because(err)
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrRetry):
		return Unavailable(callOf(ctx).department).Because(err)
	}
	return nil
}
