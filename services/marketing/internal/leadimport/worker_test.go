package leadimport

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/genproto/googleapis/api/httpbody"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
	"github.com/tasuki-project/tasuki/services/marketing/internal/lead"
)

func sets() []store.Migrations {
	return []store.Migrations{
		event.Migrations(), jobs.Migrations(), handoff.Migrations(), people.Migrations(), {Name: "marketing", FS: os.DirFS("../../migrations")},
	}
}

var errCrash = errors.New("the program dies here")

// offers stands for inside sales. It fails at the call number crashAt, or at every one when that is negative.
type offers struct {
	calls   atomic.Int64
	crashAt int64
}

func (o *offers) Offer(context.Context, store.Tx, handoff.NewOffer) (*handoffv1.Handoff, error) {
	if n := o.calls.Add(1); n == o.crashAt || o.crashAt < 0 {
		return nil, errCrash
	}
	id := party.NewID()
	return &handoffv1.Handoff{Id: id, ChainId: id}, nil
}

type bench struct {
	*Importer
	offers *offers
	server *Server
}

func newBench(db *store.DB) *bench {
	c, o := testkit.NewClock(epoch), &offers{}
	log, work := event.NewLog(db, c), jobs.New(db, jobs.Config{})
	desk := &lead.Desk{DB: db, Clock: c, Events: log, Jobs: work, Model: model, Handoffs: o, AutoOffer: true}
	desk.Register()
	im := &Importer{DB: db, Clock: c, Events: log, Jobs: work, Desk: desk}
	im.Register()
	return &bench{Importer: im, offers: o, server: NewServer(im)}
}

func benches(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	testkit.Engines(t, func(t *testing.T, db *store.DB) { test(t, newBench(db)) }, sets()...)
}

func sender(ctx context.Context) context.Context {
	return access.WithActor(ctx, access.Actor{Kind: access.KindPerson, ID: "sato"})
}

// upload takes a file in, and leaves the work to the test.
func (b *bench) upload(t testing.TB, text string, dryRun bool) *pb.LeadImport {
	t.Helper()
	i, err := b.server.ImportLeads(sender(context.Background()), &pb.ImportLeadsRequest{
		File: &httpbody.HttpBody{ContentType: "text/csv", Data: []byte(text)}, Filename: "leads.csv", DryRun: dryRun,
	})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func (b *bench) get(t testing.TB, id string) *pb.LeadImport {
	t.Helper()
	i, err := b.server.GetLeadImport(context.Background(), &pb.GetLeadImportRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func (b *bench) count(t testing.TB, table string) int {
	t.Helper()
	n, err := store.Read(context.Background(), b.DB, func(tx store.Tx) (int, error) {
		return store.Get[int](context.Background(), tx, "SELECT COUNT(*) FROM "+table)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (b *bench) exclude(t testing.TB, domain string) {
	t.Helper()
	_, err := store.Write(context.Background(), b.DB, func(tx store.Tx) (int64, error) {
		return tx.Exec(context.Background(), `INSERT INTO exclusion_rules VALUES ($1, 'COMPETITOR', $2, '', $3, 'PERSON', 'sato', '')`,
			party.NewID(), domain, epoch)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// rows is a file with everything in it: every 7th row a person again, every 11th a rival, every 13th nobody, every 5th hot.
func rows(n int) string {
	var b strings.Builder
	b.WriteString("会社名,氏名,メールアドレス,役職,従業員数,流入経路\n")
	for i := range n {
		mail, source := fmt.Sprintf("p%d@c%d.example", i, i%97), "広告"
		switch {
		case i%13 == 12:
			mail = ""
		case i%11 == 10:
			mail = fmt.Sprintf("p%d@rival.example", i)
		case i%7 == 6:
			mail = fmt.Sprintf("p%d@c%d.example", i-6, (i-6)%97)
		}
		if i%5 == 4 {
			source = "デモ依頼"
		}
		fmt.Fprintf(&b, "株式会社%d,佐藤 %d,%s,部長,%d,%s\n", i%97, i, mail, i, source)
	}
	return b.String()
}

const tally = "%d of %d: %d created, %d duplicate, %d excluded, %d invalid"

func counts(i *pb.LeadImport) string {
	return fmt.Sprintf(tally, i.GetProcessedRows(), i.GetTotalRows(), i.GetCreatedCount(), i.GetDuplicateCount(), i.GetExcludedCount(), i.GetInvalidCount())
}

func TestImportGoesOnWhereItStopped(t *testing.T) {
	benches(t, func(t *testing.T, b *bench) {
		const n = 1700
		b.exclude(t, "rival.example")
		i := b.upload(t, rows(n), false)
		if i.GetState() != pb.LeadImport_STATE_QUEUED || i.GetTotalRows() != n || i.GetSource() != "leads.csv" {
			t.Fatalf("%v", i)
		}
		b.offers.crashAt = 150
		if err := b.run(t.Context(), i.GetId()); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		half := b.get(t, i.GetId())
		if half.GetState() != pb.LeadImport_STATE_RUNNING || half.GetProcessedRows() == 0 || half.GetProcessedRows()%chunk != 0 {
			t.Fatalf("%v", half)
		}
		// Two workers at once: a job can run twice.
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := b.run(t.Context(), i.GetId()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		done := b.get(t, i.GetId())
		invalid, rival, again := 0, 0, 0
		for k := range n {
			switch {
			case k%13 == 12:
				invalid++
			case k%11 == 10:
				rival++
			case k%7 == 6 && (k-6)%13 != 12 && (k-6)%11 != 10 && (k-6)%7 != 6:
				again++
			}
		}
		want := fmt.Sprintf(tally, n, n, n-invalid-rival-again, again, rival, invalid)
		if got := counts(done); got != want || done.GetState() != pb.LeadImport_STATE_DONE || done.GetFinishTime() == nil {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		for table, want := range map[string]int{
			"leads": n - invalid - again, "lead_import_rows": n, "lead_touches": n - invalid,
			"events WHERE type = 'tasuki.marketing.v1.LeadImportFinished'": 1,
			"events WHERE type = 'tasuki.marketing.v1.LeadCaptured'":       n - invalid - again,
		} {
			if got := b.count(t, table); got != want {
				t.Errorf("%s: %d, want %d", table, got, want)
			}
		}
		if err := b.run(t.Context(), i.GetId()); err != nil || b.count(t, "lead_import_rows") != n {
			t.Errorf("done again: %v", err)
		}
		b.checkRows(t, i.GetId(), n)
	})
}

// checkRows pages through the rows.
func (b *bench) checkRows(t *testing.T, id string, n int) {
	t.Helper()
	seen, req := 0, &pb.ListLeadImportRowsRequest{Id: id, PageSize: 333}
	for {
		page, err := b.server.ListLeadImportRows(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.GetLeadImportRows() {
			seen++
			if int(r.GetRow()) != seen || int(r.GetLine()) != seen+1 || (r.GetLeadId() == "") != (r.GetOutcome() == pb.LeadImportRow_OUTCOME_INVALID) {
				t.Fatalf("row %d: %v", seen, r)
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if seen != n {
		t.Errorf("%d rows", seen)
	}
	invalid, err := b.server.ListLeadImportRows(t.Context(), &pb.ListLeadImportRowsRequest{
		Id: id, PageSize: 1, Outcomes: []pb.LeadImportRow_Outcome{pb.LeadImportRow_OUTCOME_INVALID},
	})
	if err != nil {
		t.Fatal(err)
	}
	row := invalid.GetLeadImportRows()[0]
	problem := row.GetProblems()[0]
	if row.GetRow() != 13 || row.GetLine() != 14 || problem.GetColumn() != "メールアドレス" || problem.GetMessage().GetJa() == "" || problem.GetMessage().GetEn() == "" {
		t.Errorf("%v", row)
	}
}

func TestDryRunSaysWhatWillHappen(t *testing.T) {
	benches(t, func(t *testing.T, b *bench) {
		b.exclude(t, "rival.example")
		dry := b.upload(t, rows(1200), true)
		if err := b.run(t.Context(), dry.GetId()); err != nil {
			t.Fatal(err)
		}
		if b.count(t, "leads") != 0 || b.count(t, "people") != 0 {
			t.Error("a dry run creates leads")
		}
		wet := b.upload(t, rows(1200), false)
		if err := b.run(t.Context(), wet.GetId()); err != nil {
			t.Fatal(err)
		}
		if said, did := counts(b.get(t, dry.GetId())), counts(b.get(t, wet.GetId())); said != did {
			t.Errorf("said %s\ndid  %s", said, did)
		}
		list, err := b.server.ListLeadImports(t.Context(), &pb.ListLeadImportsRequest{PageSize: 1})
		if err != nil || len(list.GetLeadImports()) != 1 || list.GetLeadImports()[0].GetId() != wet.GetId() || list.GetNextPageToken() == "" {
			t.Errorf("%v %v", list, err)
		}
	})
}

func TestGivesUpInTheEnd(t *testing.T) {
	benches(t, func(t *testing.T, b *bench) {
		b.offers.crashAt = -1
		i := b.upload(t, rows(20), false)
		job := &jobs.Job[Args]{Args: Args{ImportID: i.GetId()}, Attempt: 1}
		if err := b.work(t.Context(), job); !errors.Is(err, errCrash) {
			t.Errorf("%v", err)
		}
		job.Attempt = attempts
		if err := b.work(t.Context(), job); err != nil {
			t.Errorf("%v", err)
		}
		got := b.get(t, i.GetId())
		if got.GetState() != pb.LeadImport_STATE_FAILED || got.GetError().GetJa() == "" || b.count(t, "leads") != 0 {
			t.Errorf("%v", got)
		}
	})
}

func TestFileWithoutRows(t *testing.T) {
	benches(t, func(t *testing.T, b *bench) {
		i := b.upload(t, "Email,Company\n", false)
		if err := b.run(t.Context(), i.GetId()); err != nil {
			t.Fatal(err)
		}
		if got := b.get(t, i.GetId()); got.GetState() != pb.LeadImport_STATE_DONE || got.GetTotalRows() != 0 {
			t.Errorf("%v", got)
		}
		if _, err := b.server.GetLeadImport(t.Context(), &pb.GetLeadImportRequest{Id: party.NewID()}); !problem.Is(err, problem.ReasonNotFound) {
			t.Errorf("%v", err)
		}
	})
}
