package history_test

import (
	"context"
	"embed"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/history"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

//go:embed testdata
var testdata embed.FS

func sets(t *testing.T) store.Migrations {
	files, err := fs.Sub(testdata, "testdata")
	if err != nil {
		t.Fatal(err)
	}
	return store.Migrations{Name: "doors", FS: files}
}

type state string

const (
	door    = "0199b6a0-0000-7000-8000-000000000001"
	another = "0199b6a0-0000-7000-8000-000000000002"
)

var (
	noon  = time.Date(2026, 4, 6, 12, 0, 0, 123_456_000, time.UTC)
	sato  = access.Actor{Kind: access.KindPerson, ID: "sato", Name: "佐藤"}
	table = history.Table[state]{Name: "door_transitions", Key: "door_id", Extra: []string{"from_room", "to_room"}}
	steps = []history.Transition[state]{
		{To: "SHUT", At: noon, Actor: sato, Extra: []string{"", "hall"}},
		{
			From: "SHUT", To: "OPEN", At: noon.Add(time.Hour), Actor: access.System("wind"), Reason: "DRAUGHT", Note: "強い風",
			InFrom: time.Hour + 7*time.Microsecond, Extra: []string{"hall", "hall"},
		},
		{From: "OPEN", To: "SHUT", At: noon.Add(2 * time.Hour), Actor: sato, InFrom: time.Hour, Extra: []string{"hall", "attic"}},
	}
)

func TestTable(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		_, err := store.Write(ctx, db, func(tx store.Tx) (struct{}, error) {
			for i, step := range steps { // the order of seq counts, not of the inserts
				table.Append(tx, door, int64(30-10*i), step)
			}
			copied := [][]any{table.Row(another, 1, steps[0]), table.Row(another, 2, steps[1])}
			return struct{}{}, store.Copy(ctx, tx, table.Name, table.Columns(), copied)
		})
		if err != nil {
			t.Fatal(err)
		}
		back := []history.Transition[state]{steps[2], steps[1], steps[0]}
		cases := map[string]struct {
			id   string
			want []history.Transition[state]
		}{
			"appended": {door, back}, "copied": {another, steps[:2]}, "none": {"0199b6a0-0000-7000-8000-000000000003", nil},
		}
		for name, c := range cases {
			got := read(t, db, func(ctx context.Context, tx store.Tx) ([]history.Transition[state], error) {
				return table.List(ctx, tx, c.id)
			})
			if len(got) != len(c.want) || len(got) > 0 && !cmp.Equal(c.want, got) {
				t.Error(name, cmp.Diff(c.want, got))
			}
		}
		pages := map[string]struct {
			after int64
			limit int
			want  []history.Entry[state]
		}{
			"first": {0, 2, []history.Entry[state]{{Seq: 10, Transition: back[0]}, {Seq: 20, Transition: back[1]}}},
			"last":  {20, 2, []history.Entry[state]{{Seq: 30, Transition: back[2]}}},
			"after": {30, 2, nil},
		}
		for name, c := range pages {
			got := read(t, db, func(ctx context.Context, tx store.Tx) ([]history.Entry[state], error) {
				return table.Page(ctx, tx, door, c.after, c.limit)
			})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(name, diff)
			}
		}
	}, sets(t))
}

func read[T any](t *testing.T, db *store.DB, fn func(context.Context, store.Tx) (T, error)) T {
	t.Helper()
	got, err := store.Read(t.Context(), db, func(tx store.Tx) (T, error) { return fn(t.Context(), tx) })
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestProtos(t *testing.T) {
	want := []*typev1.Transition{
		{To: "SHUT", At: timestamppb.New(noon), Actor: sato.Proto()},
		{
			From: "SHUT", To: "OPEN", At: timestamppb.New(noon.Add(time.Hour)), Actor: access.System("wind").Proto(),
			Reason: "DRAUGHT", Note: "強い風", TimeInFrom: durationpb.New(time.Hour + 7*time.Microsecond),
		},
	}
	for i, got := range history.Protos(steps[:2]) {
		if !proto.Equal(want[i], got) {
			t.Errorf("got %v, want %v", got, want[i])
		}
	}
}
