package demo

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	insidesalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// state of the whole house when the play is over.
type state struct {
	leads         []*marketingv1.Lead
	items         []*insidesalesv1.WorkItem
	opportunities []*fieldsalesv1.Opportunity
	customers     []*customersuccessv1.Customer
	plans         []*customersuccessv1.OnboardingPlan
	// handoffs by kind: as their sender and as their receiver see them.
	sent, received map[handoffv1.Kind][]*handoffv1.Handoff
}

func (p *Play) look(ctx context.Context) (*state, error) {
	s := &state{sent: map[handoffv1.Kind][]*handoffv1.Handoff{}, received: map[handoffv1.Kind][]*handoffv1.Handoff{}}
	var err error
	if s.leads, err = p.leads(ctx); err != nil {
		return nil, err
	}
	if s.items, err = p.workItems(ctx); err != nil {
		return nil, err
	}
	if s.opportunities, err = p.opportunities(ctx); err != nil {
		return nil, err
	}
	if s.customers, err = p.customers(ctx); err != nil {
		return nil, err
	}
	if s.plans, err = p.plans(ctx); err != nil {
		return nil, err
	}
	for _, d := range []staff{marketing, insideSales, fieldSales, customerSuccess} {
		for box, into := range map[string]map[handoffv1.Kind][]*handoffv1.Handoff{"BOX_OUTBOX": s.sent, "BOX_INBOX": s.received} {
			handoffs, err := p.handoffs(ctx, d, url.Values{"box": {box}})
			if err != nil {
				return nil, err
			}
			for _, h := range handoffs {
				into[h.GetKind()] = append(into[h.GetKind()], h)
			}
		}
	}
	return s, nil
}

// report prints what became of everything.
func (p *Play) report(ctx context.Context, files []*imported) error {
	s, err := p.look(ctx)
	if err != nil {
		return err
	}
	out := p.cfg.Out
	printFiles(out, files)
	printBadRows(out, files)
	printDepartment(out, "Marketing マーケティング", "leads", countBy(s.leads, func(l *marketingv1.Lead) string {
		return short(l.GetState().String()) + because(l.GetLastReason())
	}))
	printDepartment(out, "Inside sales インサイドセールス", "work items", countBy(s.items, func(w *insidesalesv1.WorkItem) string {
		return short(w.GetState().String()) + because(w.GetReason())
	}))
	printDepartment(out, "Field sales フィールドセールス", "opportunities", countBy(s.opportunities, func(o *fieldsalesv1.Opportunity) string {
		return short(o.GetState().String()) + because(o.GetLoss().GetReason())
	}))
	printDepartment(out, "Customer success カスタマーサクセス", "customers", countBy(s.customers, func(c *customersuccessv1.Customer) string {
		return short(c.GetState().String())
	}))
	printHandoffs(out, s)
	printFunnel(out, files, s)
	if p.cfg.Report == "" {
		return nil
	}
	if err := writeRows(p.cfg.Report, files, s.leads); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	fmt.Fprintf(out, "What became of every row: %s\n", p.cfg.Report)
	return nil
}

func newTable(out io.Writer, title string, columns ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(out)
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.Style().Format.Footer = text.FormatDefault
	t.SetTitle(title)
	t.AppendHeader(columns)
	return t
}

func render(out io.Writer, t table.Writer) {
	t.Render()
	fmt.Fprintln(out)
}

func printFiles(out io.Writer, files []*imported) {
	t := newTable(out, "Imported files 取り込み", "file", "encoding", "rows", "imported", "duplicate", "excluded", "invalid", "unknown columns (kept as notes)")
	for _, f := range files {
		d := f.done
		t.AppendRow(table.Row{
			filepath.Base(f.path), d.GetEncoding(), d.GetTotalRows(), d.GetCreatedCount(), d.GetDuplicateCount(),
			d.GetExcludedCount(), d.GetInvalidCount(), strings.Join(d.GetUnknownColumns(), ", "),
		})
	}
	render(out, t)
}

// shownRows bounds the list of broken rows on the terminal; the report file has them all.
const shownRows = 15

func printBadRows(out io.Writer, files []*imported) {
	t := newTable(out, "Rows that could not be used 取り込めなかった行", "file", "line", "column", "value", "what to do")
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 4, WidthMax: 30}, {Number: 5, WidthMax: 60}})
	n := 0
	for _, f := range files {
		for _, r := range f.rows {
			for _, problem := range r.GetProblems() {
				if n++; n <= shownRows {
					t.AppendRow(table.Row{filepath.Base(f.path), r.GetLine(), problem.GetColumn(), problem.GetValue(), problem.GetMessage().GetEn()})
				}
			}
		}
	}
	if n == 0 {
		return
	}
	if n > shownRows {
		t.AppendFooter(table.Row{fmt.Sprintf("and %d more", n-shownRows)})
	}
	render(out, t)
}

func printDepartment(out io.Writer, title, what string, counts []count) {
	t := newTable(out, title, "state", what)
	total := 0
	for _, c := range counts {
		t.AppendRow(table.Row{c.name, c.n})
		total += c.n
	}
	t.AppendFooter(table.Row{"total", total})
	render(out, t)
}

func printHandoffs(out io.Writer, s *state) {
	t := newTable(out, "Handoffs 引き継ぎ", "kind", "offered", "arrived", "fulfilled", "accepted", "rejected", "other", "ledgers")
	for _, kind := range []handoffv1.Kind{handoffv1.Kind_KIND_MQL, handoffv1.Kind_KIND_MEETING, handoffv1.Kind_KIND_CLOSED_WON} {
		var fulfilled, accepted, rejected, other int
		for _, h := range s.received[kind] {
			switch h.GetState() {
			case handoffv1.State_STATE_FULFILLED:
				fulfilled++
			case handoffv1.State_STATE_ACCEPTED:
				accepted++
			case handoffv1.State_STATE_REJECTED:
				rejected++
			default:
				other++
			}
		}
		t.AppendRow(table.Row{short(kind.String()), len(s.sent[kind]), len(s.received[kind]), fulfilled, accepted, rejected, other, ledgers(s.sent[kind], s.received[kind])})
	}
	render(out, t)
}

// ledgers compares what the two sides of the handoffs have written down.
func ledgers(sent, received []*handoffv1.Handoff) string {
	at := map[string]handoffv1.State{}
	for _, h := range received {
		at[h.GetId()] = h.GetState()
	}
	differ := 0
	for _, h := range sent {
		if st, ok := at[h.GetId()]; !ok || st != h.GetState() {
			differ++
		}
	}
	if differ == 0 && len(sent) == len(received) {
		return "equal"
	}
	return fmt.Sprintf("%d differ", max(differ, len(received)-len(sent)))
}

func printFunnel(out io.Writer, files []*imported, s *state) {
	rows := 0
	for _, f := range files {
		rows += int(f.done.GetTotalRows())
	}
	won, onboarded := 0, 0
	for _, o := range s.opportunities {
		if o.GetState() == fieldsalesv1.Opportunity_STATE_CLOSED_WON {
			won++
		}
	}
	for _, plan := range s.plans {
		if plan.GetState() == customersuccessv1.OnboardingPlan_STATE_COMPLETED {
			onboarded++
		}
	}
	var mrr int64
	for _, c := range s.customers {
		mrr += c.GetCommittedMrr().GetUnits()
	}
	notExcluded := func(l *marketingv1.Lead) bool { return l.GetState() != marketingv1.Lead_STATE_EXCLUDED }
	steps := []count{
		{"rows in the files 行", rows},
		{"leads リード", len(s.leads)},
		{"MAL", countIf(s.leads, notExcluded)},
		{"MQL offered 引き渡し", len(s.sent[handoffv1.Kind_KIND_MQL])},
		{"SAL accepted 受領", countIf(s.received[handoffv1.Kind_KIND_MQL], taken)},
		{"meetings 商談設定", len(s.sent[handoffv1.Kind_KIND_MEETING])},
		{"SQL 有効商談", countIf(s.received[handoffv1.Kind_KIND_MEETING], taken)},
		{"won 受注", won},
		{"onboarded オンボーディング完了", onboarded},
	}
	t := newTable(out, "From lead to onboarded customer ファネル", "step", "count", "of the step before", "")
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 2, Align: text.AlignRight}, {Number: 3, Align: text.AlignRight}})
	for i, step := range steps {
		rate := ""
		if i > 0 && steps[i-1].n > 0 {
			rate = fmt.Sprintf("%.1f %%", 100*float64(step.n)/float64(steps[i-1].n))
		}
		bar := ""
		if rows > 0 {
			bar = strings.Repeat("█", (step.n*40+rows-1)/rows)
		}
		t.AppendRow(table.Row{step.name, step.n, rate, bar})
	}
	t.AppendFooter(table.Row{"MRR agreed 契約済み", fmt.Sprintf("¥%d", mrr), "", ""})
	render(out, t)
}

func taken(h *handoffv1.Handoff) bool {
	return h.GetState() == handoffv1.State_STATE_ACCEPTED || h.GetState() == handoffv1.State_STATE_FULFILLED
}

// writeRows writes one line for every row of every file: what the import made of it, and where its lead stands.
func writeRows(path string, files []*imported, leads []*marketingv1.Lead) error {
	byID := map[string]*marketingv1.Lead{}
	for _, l := range leads {
		byID[l.GetId()] = l
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := csv.NewWriter(f)
	_ = w.Write([]string{"file", "line", "outcome", "lead_id", "lead_state", "last_reason", "problems"}) // Flush below reports the error
	for _, file := range files {
		for _, r := range file.rows {
			var problems []string
			for _, p := range r.GetProblems() {
				problems = append(problems, fmt.Sprintf("%s %q: %s", p.GetColumn(), p.GetValue(), p.GetMessage().GetEn()))
			}
			l := byID[r.GetLeadId()]
			leadState := ""
			if l != nil {
				leadState = short(l.GetState().String())
			}
			_ = w.Write([]string{
				filepath.Base(file.path), fmt.Sprint(r.GetLine()), short(r.GetOutcome().String()), r.GetLeadId(),
				leadState, l.GetLastReason(), strings.Join(problems, "; "),
			}) // Flush below reports the error
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	return f.Close()
}

type count struct {
	name string
	n    int
}

// countBy counts things by name, the largest first.
func countBy[T any](things []T, name func(T) string) []count {
	index := map[string]int{}
	var counts []count
	for _, t := range things {
		k := name(t)
		i, ok := index[k]
		if !ok {
			i = len(counts)
			index[k] = i
			counts = append(counts, count{name: k})
		}
		counts[i].n++
	}
	slices.SortStableFunc(counts, func(a, b count) int {
		if a.n != b.n {
			return b.n - a.n
		}
		return strings.Compare(a.name, b.name)
	})
	return counts
}

func countIf[T any](things []T, is func(T) bool) int {
	n := 0
	for _, t := range things {
		if is(t) {
			n++
		}
	}
	return n
}

// short is an enum's value without its prefix, as people say it.
func short(enum string) string {
	for _, prefix := range []string{"STATE_", "OUTCOME_", "KIND_"} {
		if _, rest, ok := strings.Cut(enum, prefix); ok {
			return rest
		}
	}
	return enum
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " · " + reason
}
