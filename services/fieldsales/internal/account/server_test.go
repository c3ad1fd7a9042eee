package account_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/account"
	"github.com/tasuki-project/tasuki/services/fieldsales/migrations"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

type suite struct {
	*account.Server
	clock *testkit.Clock
}

func engines(t *testing.T, test func(*testing.T, suite)) {
	t.Helper()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		clock := testkit.NewClock(time.Time{})
		book := &account.Book{Events: event.NewLog(db, clock), Clock: clock}
		test(t, suite{Server: &account.Server{DB: db, Book: book}, clock: clock})
	}, event.Migrations(), handoff.Migrations(), migrations.Set)
}

func reason(err error) problem.Reason {
	if p, ok := problem.Parse(err); ok {
		return p.Reason
	}
	return 0
}

// told are the types of all events in the order of the feed, and the number of accounts.
func (s suite) told(t *testing.T) (types []string, accounts int64) {
	t.Helper()
	ctx := t.Context()
	_, err := store.Read(ctx, s.DB, func(tx store.Tx) (struct{}, error) {
		var err error
		if types, err = store.Select[string](ctx, tx, `SELECT type FROM events ORDER BY seq`); err != nil {
			return struct{}{}, err
		}
		accounts, err = store.Get[int64](ctx, tx, `SELECT count(*) FROM accounts`)
		return struct{}{}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return types, accounts
}

func TestCreateGetUpdate(t *testing.T) {
	engines(t, func(t *testing.T, s suite) {
		ctx := t.Context()
		a, err := s.CreateAccount(ctx, &fieldsalesv1.CreateAccountRequest{Name: "株式会社タスキ", Domain: "https://www.Tasuki.co.jp/", Owner: "sato"})
		if err != nil {
			t.Fatal(err)
		}
		if a.GetDomain() != "tasuki.co.jp" || a.GetCompanyKey() != "タスキ" || a.GetEtag() != "1" {
			t.Fatalf("%v", a)
		}
		got, err := s.GetAccount(ctx, &fieldsalesv1.GetAccountRequest{Id: a.GetId()})
		if diff := cmp.Diff(a, got, protocmp.Transform()); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
		s.clock.Advance(time.Minute)
		up, err := s.UpdateAccount(ctx, &fieldsalesv1.UpdateAccountRequest{
			Id: a.GetId(), Etag: "1", Industry: proto.String("製造"), Employees: proto.Int32(250),
		})
		if err != nil || up.GetEtag() != "2" || up.GetIndustry() != "製造" || up.GetEmployees() != 250 || up.GetName() != a.GetName() {
			t.Fatal(err, up)
		}
		if _, err := s.UpdateAccount(ctx, &fieldsalesv1.UpdateAccountRequest{Id: a.GetId(), Etag: "1", Owner: proto.String("x")}); problem.Status(ctx, err).Code().String() != "Aborted" {
			t.Errorf("stale etag: %v", err)
		}
		if _, err := s.UpdateAccount(ctx, &fieldsalesv1.UpdateAccountRequest{Id: a.GetId(), Domain: proto.String("nowhere")}); reason(err) != problem.ReasonInvalidFields {
			t.Errorf("no domain: %v", err)
		}
		if _, err := s.GetAccount(ctx, &fieldsalesv1.GetAccountRequest{Id: party.NewID()}); reason(err) != problem.ReasonNotFound {
			t.Errorf("unknown: %v", err)
		}
		types, n := s.told(t)
		if want := []string{"tasuki.fieldsales.v1.AccountCreated", "tasuki.fieldsales.v1.AccountUpdated"}; !slices.Equal(types, want) || n != 1 {
			t.Errorf("%d accounts, %v", n, types)
		}
	})
}

func TestMatching(t *testing.T) {
	engines(t, func(t *testing.T, s suite) {
		ctx := t.Context()
		resolve := func(c account.Company) (*account.Account, bool) {
			t.Helper()
			type result struct {
				a       *account.Account
				created bool
			}
			r, err := store.Write(ctx, s.DB, func(tx store.Tx) (result, error) {
				a, created, err := s.Book.Resolve(ctx, tx, c, "sato", "")
				return result{a, created}, err
			})
			if err != nil {
				t.Fatal(err)
			}
			return r.a, r.created
		}
		met, other := party.NewID(), party.NewID()
		first, created := resolve(account.Company{ID: met, Name: "株式会社タスキ", Domain: "tasuki.co.jp"})
		if !created || first.ID != met {
			t.Fatalf("the id of the party is kept: %+v", first)
		}
		for name, c := range map[string]account.Company{
			"id":     {ID: met, Name: "まったく別の名前", Domain: "elsewhere.jp"},
			"domain": {ID: other, Name: "Tasuki Holdings", Domain: "WWW.TASUKI.CO.JP"},
			"name":   {Name: "（株）ﾀｽｷ"},
			"alias":  {ID: other, Name: "名無し"},
		} {
			// In any order: an alias is there once its id was matched by something else.
			if name == "alias" {
				resolve(account.Company{ID: other, Domain: "tasuki.co.jp"})
			}
			if a, created := resolve(c); created || a.ID != met {
				t.Errorf("%s: %+v, created %t", name, a, created)
			}
		}
		if a, err := s.GetAccount(ctx, &fieldsalesv1.GetAccountRequest{Id: other}); err != nil || a.GetId() != met {
			t.Errorf("the other id finds it: %v, %v", a, err)
		}
		// What has no name and no domain matches nothing.
		for range 2 {
			if _, created := resolve(account.Company{Name: "--"}); !created {
				t.Error("matched by nothing")
			}
		}
		// A domain that belongs to somebody else is not taken over with the id.
		second, _ := resolve(account.Company{Name: "別会社"})
		if a, created := resolve(account.Company{ID: second.ID, Name: "別会社", Domain: "tasuki.co.jp"}); created || a.ID != second.ID || a.Domain != "" {
			t.Errorf("%+v", a)
		}
	})
}

func TestKnownCompany(t *testing.T) {
	engines(t, func(t *testing.T, s suite) {
		ctx := t.Context()
		first, err := s.CreateAccount(ctx, &fieldsalesv1.CreateAccountRequest{Name: "株式会社タスキ", Domain: "tasuki.co.jp"})
		if err != nil {
			t.Fatal(err)
		}
		again := &fieldsalesv1.CreateAccountRequest{Name: "タスキ㈱", Industry: "IT"}
		_, err = s.CreateAccount(ctx, again)
		if p, ok := problem.Parse(err); !ok || p.Reason != problem.ReasonExists || p.Metadata["id"] != first.GetId() {
			t.Fatalf("got %v", err)
		}
		if types, _ := s.told(t); len(types) != 1 {
			t.Errorf("a refused call told %v", types)
		}
		again.OnMatch = fieldsalesv1.OnMatch_ON_MATCH_LINK
		linked, err := s.CreateAccount(ctx, again)
		if err != nil || linked.GetId() != first.GetId() || linked.GetIndustry() != "IT" || linked.GetName() != first.GetName() {
			t.Errorf("%v, %v", linked, err)
		}
		second, err := s.CreateAccount(ctx, &fieldsalesv1.CreateAccountRequest{Name: "別会社", Domain: "other.jp"})
		if err != nil {
			t.Fatal(err)
		}
		for _, req := range []*fieldsalesv1.UpdateAccountRequest{{Domain: proto.String("tasuki.co.jp")}, {Name: proto.String("（株）タスキ")}} {
			req.Id = second.GetId()
			_, err := s.UpdateAccount(ctx, req)
			if p, ok := problem.Parse(err); !ok || p.Reason != problem.ReasonExists || p.Metadata["id"] != first.GetId() {
				t.Errorf("got %v", err)
			}
		}
	})
}

// TestParallelCreation: whoever comes at the same moment, by the domain or by the name, there is one account in the end.
func TestParallelCreation(t *testing.T) {
	engines(t, func(t *testing.T, s suite) {
		ctx := t.Context()
		var wg sync.WaitGroup
		ids := make([]string, 12)
		for i := range ids {
			wg.Go(func() {
				req := &fieldsalesv1.CreateAccountRequest{Name: "株式会社タスキ", OnMatch: fieldsalesv1.OnMatch_ON_MATCH_LINK}
				if i%2 == 0 {
					req.Domain = "tasuki.co.jp"
				}
				a, err := s.CreateAccount(ctx, req)
				if err != nil {
					t.Error(err)
					return
				}
				ids[i] = a.GetId()
			})
		}
		wg.Wait()
		if _, n := s.told(t); n != 1 || len(slices.Compact(ids)) != 1 {
			t.Errorf("%d accounts: %v", n, ids)
		}
	})
}

func TestRollback(t *testing.T) {
	engines(t, func(t *testing.T, s suite) {
		ctx := t.Context()
		func() {
			defer func() { _ = recover() }()
			_, _ = store.Write(ctx, s.DB, func(tx store.Tx) (struct{}, error) {
				_, _, err := s.Book.Resolve(ctx, tx, account.Company{Name: "タスキ"}, "", "")
				if err != nil {
					return struct{}{}, err
				}
				panic("halfway")
			})
		}()
		if types, n := s.told(t); n != 0 || len(types) != 0 {
			t.Errorf("%d accounts, %v", n, types)
		}
	})
}

func TestList(t *testing.T) {
	engines(t, func(t *testing.T, s suite) {
		ctx := t.Context()
		var want []string
		for i := range 7 {
			if i%3 == 0 { // some at the same instant
				s.clock.Advance(time.Second)
			}
			a, err := s.CreateAccount(ctx, &fieldsalesv1.CreateAccountRequest{
				Name: fmt.Sprintf("株式会社襷%c商事", 'あ'+i), Domain: fmt.Sprintf("d%d.example.jp", i), Owner: []string{"sato", "suzuki"}[i%2],
			})
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, a.GetId())
		}
		slices.Reverse(want)
		list := func(req *fieldsalesv1.ListAccountsRequest) (ids []string) {
			t.Helper()
			for {
				page, err := s.ListAccounts(ctx, req)
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range page.GetAccounts() {
					ids = append(ids, a.GetId())
				}
				if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
					return ids
				}
			}
		}
		if got := list(&fieldsalesv1.ListAccountsRequest{PageSize: 2}); !slices.Equal(got, want) {
			t.Errorf("in pages of two: %v, want %v", got, want)
		}
		for name, tt := range map[string]struct {
			req *fieldsalesv1.ListAccountsRequest
			n   int
		}{
			"domain":         {&fieldsalesv1.ListAccountsRequest{Domain: "https://D3.example.jp"}, 1},
			"name":           {&fieldsalesv1.ListAccountsRequest{Name: "襷う商事（株）"}, 1},
			"prefix":         {&fieldsalesv1.ListAccountsRequest{NamePrefix: "㈱襷"}, 7},
			"longer prefix":  {&fieldsalesv1.ListAccountsRequest{NamePrefix: "襷う"}, 1},
			"no such prefix": {&fieldsalesv1.ListAccountsRequest{NamePrefix: "襷ん"}, 0},
			"owner":          {&fieldsalesv1.ListAccountsRequest{Owner: "suzuki", PageSize: 1}, 3},
			"both":           {&fieldsalesv1.ListAccountsRequest{Owner: "suzuki", Domain: "d0.example.jp"}, 0},
		} {
			if got := list(tt.req); len(got) != tt.n {
				t.Errorf("%s: %d, want %d", name, len(got), tt.n)
			}
		}
		first, err := s.ListAccounts(ctx, &fieldsalesv1.ListAccountsRequest{PageSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.ListAccounts(ctx, &fieldsalesv1.ListAccountsRequest{PageToken: first.GetNextPageToken(), Owner: "sato"})
		if problem.ReasonOf(problem.Status(ctx, err).Err()) != problem.ReasonPageTokenInvalid {
			t.Errorf("token of another query: %v", err)
		}
		if _, err := s.ListAccounts(ctx, &fieldsalesv1.ListAccountsRequest{Domain: "nowhere"}); reason(err) != problem.ReasonInvalidFields {
			t.Errorf("no domain: %v", err)
		}
	})
}

func TestSchemas(t *testing.T) { testkit.SchemasMatch(t, handoff.Migrations(), migrations.Set) }
