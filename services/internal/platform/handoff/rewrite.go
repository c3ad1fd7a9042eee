package handoff

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Involving are the ids of the handoffs, of either side, that are about one of the people or belong to one of the journeys.
func Involving(ctx context.Context, tx store.Tx, people, journeys []string) ([]string, error) {
	var ids []string
	seen := map[string]bool{}
	for _, by := range []struct {
		where  string
		values []string
	}{{`person_id <> '' AND person_id`, people}, {`journey_id`, journeys}} {
		for _, value := range by.values {
			found, err := store.Select[string](ctx, tx, `SELECT CAST(id AS TEXT) FROM handoffs WHERE `+by.where+` = $1 ORDER BY id`, value)
			if err != nil {
				return nil, err
			}
			for _, id := range found {
				if !seen[id] {
					seen[id] = true
					ids = append(ids, id)
				}
			}
		}
	}
	return ids, nil
}

// Read gives the messages of handoffs with all their attempts to see.
func Read(ctx context.Context, tx store.Tx, ids []string, see func(proto.Message)) error {
	return each(ctx, tx, ids, func(m proto.Message, _ func([]byte)) error {
		see(m)
		return nil
	})
}

// Rewrite changes handoffs after the fact, with all their attempts, notes and gaps: it is for merging and erasing people, and
// for nothing else. Versions and states stay, and nothing is told. change is called with every message, and text, which may
// be nil, with every note; each tells whether it changed anything. It returns how many rows were changed.
func Rewrite(ctx context.Context, tx store.Tx, ids []string, change func(proto.Message) bool, text func(string) (string, bool)) (int64, error) {
	var n int64
	err := each(ctx, tx, ids, func(m proto.Message, write func([]byte)) error {
		if !change(m) {
			return nil
		}
		body, err := proto.Marshal(m)
		if err != nil {
			return fmt.Errorf("handoff: rewrite: %w", err)
		}
		write(body)
		n++
		return nil
	})
	if err != nil || text == nil {
		return n, err
	}
	for _, notes := range []struct{ table, key string }{{"handoff_transitions", "version"}, {"handoff_gaps", "path"}} {
		changed, err := rewriteNotes(ctx, tx, notes.table, notes.key, ids, text)
		if err != nil {
			return n, err
		}
		n += changed
	}
	return n, nil
}

func each(ctx context.Context, tx store.Tx, ids []string, do func(m proto.Message, write func([]byte)) error) error {
	for _, id := range ids {
		r, err := find(ctx, tx, id, true)
		if err != nil {
			return err
		}
		if r == nil {
			return errors.New("handoff: rewrite: a handoff is gone")
		}
		h := r.h
		err = do(h, func(body []byte) {
			tx.Queue(`UPDATE handoffs SET body = $2, person_id = $3 WHERE id = $1`, id, body, h.GetPersonId())
		})
		if err != nil {
			return err
		}
		type attempt struct {
			Number int64
			Body   []byte
		}
		list, err := store.Select[attempt](ctx, tx, `SELECT number, body FROM handoff_attempts WHERE handoff_id = $1 ORDER BY number`, id)
		if err != nil {
			return err
		}
		for _, a := range list {
			m := &handoffv1.Attempt{}
			if err := proto.Unmarshal(a.Body, m); err != nil {
				return fmt.Errorf("handoff: stored attempt: %w", err)
			}
			err := do(m, func(body []byte) {
				tx.Queue(`UPDATE handoff_attempts SET body = $3 WHERE handoff_id = $1 AND number = $2`, id, a.Number, body)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func rewriteNotes(ctx context.Context, tx store.Tx, table, key string, ids []string, text func(string) (string, bool)) (int64, error) {
	type row struct{ HandoffID, Key, Note string }
	var n int64
	for _, id := range ids {
		rows, err := store.Select[row](ctx, tx, `SELECT CAST(handoff_id AS TEXT) AS handoff_id, CAST(`+key+` AS TEXT) AS key, note
			FROM `+table+` WHERE handoff_id = $1 AND note <> '' ORDER BY 2`, id)
		if err != nil {
			return 0, err
		}
		for _, r := range rows {
			note, changed := text(r.Note)
			if !changed {
				continue
			}
			value := any(r.Key)
			if key == "version" {
				version, err := strconv.ParseInt(strings.TrimSpace(r.Key), 10, 64)
				if err != nil {
					return 0, err
				}
				value = version
			}
			tx.Queue(`UPDATE `+table+` SET note = $3 WHERE handoff_id = $1 AND `+key+` = $2`, r.HandoffID, value, note)
			n++
		}
	}
	return n, nil
}
