package demo

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// Config of a play.
type Config struct {
	// Gateway is the base URL, for instance `http://127.0.0.1:8080`.
	Gateway string
	// Tokens gives the players their tokens.
	Tokens Tokens
	// Files are the lead files to import, in this order.
	Files []string
	// Report is where the account of every row is written as CSV; empty writes none.
	Report string
	// Out is where the tables go, Progress where bars are drawn.
	Out, Progress io.Writer
	// Actors is how many people act at the same time; default 8.
	Actors int
	// Timeout is how long nothing may move before the play gives up; default 60 s.
	Timeout time.Duration
}

// Play is one run.
type Play struct {
	cfg  Config
	rest *client
}

// New prepares a play.
func New(cfg Config) *Play {
	if cfg.Actors == 0 {
		cfg.Actors = 8
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute
	}
	transport := &http.Transport{MaxIdleConnsPerHost: cfg.Actors + 2}
	return &Play{cfg: cfg, rest: &client{
		base: strings.TrimRight(cfg.Gateway, "/"), http: &http.Client{Transport: transport}, tokens: cfg.Tokens,
	}}
}

// Run imports the files, plays until every lead has found its end, and prints what became of them.
func (p *Play) Run(ctx context.Context) error {
	defer p.rest.http.CloseIdleConnections()
	if err := p.keepCompetitorsOut(ctx); err != nil {
		return err
	}
	var files []*imported
	for _, path := range p.cfg.Files {
		f, err := p.importFile(ctx, path)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	if err := p.relay(ctx); err != nil {
		return err
	}
	return p.report(ctx, files)
}

// competitorDomain is the domain of the competitor in the sample files.
const competitorDomain = "rival-crm.example"

func (p *Play) keepCompetitorsOut(ctx context.Context) error {
	err := p.rest.post(ctx, marketing, "/v1/exclusion-rules", "demo-exclude-"+competitorDomain, &marketingv1.CreateExclusionRuleRequest{
		Kind: marketingv1.ExclusionRule_KIND_COMPETITOR, Domain: competitorDomain, Note: "競合 / competitor",
	}, &marketingv1.ExclusionRule{})
	if err != nil && !settled(err) {
		return err
	}
	return nil
}

// relay lets the departments act in turn until nobody has anything left to do.
func (p *Play) relay(ctx context.Context) error {
	bar := p.progress(-1, "relay")
	departments := []struct {
		name string
		act  func(context.Context) (int, error)
	}{
		{"marketing", p.marketingActs}, {"inside sales", p.insideSalesActs}, {"field sales", p.fieldSalesActs}, {"customer success", p.customerSuccessActs},
	}
	lastMove := time.Now()
	for {
		moved := 0
		for _, d := range departments {
			n, err := d.act(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", d.name, err)
			}
			moved += n
			_ = bar.Add(n) // a bar that cannot be drawn must not stop the relay
		}
		if moved > 0 {
			lastMove = time.Now()
			continue
		}
		open, err := p.openEnds(ctx)
		if err != nil {
			return err
		}
		if len(open) == 0 {
			return bar.Finish()
		}
		if time.Since(lastMove) > p.cfg.Timeout {
			return fmt.Errorf("nothing has moved for %s, but not everything has found its end: %s", p.cfg.Timeout, strings.Join(open, ", "))
		}
		if err := pause(ctx, 150*time.Millisecond); err != nil {
			return err
		}
	}
}

// each acts on all things at once, as many people as there are actors, and counts what was moved.
func each[T any](ctx context.Context, p *Play, things []T, act func(context.Context, T) error) (int, error) {
	var moved atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(p.cfg.Actors)
	for _, t := range things {
		g.Go(func() error {
			err := act(ctx, t)
			switch {
			case err == nil:
				moved.Add(1)
			case !settled(err):
				return err
			}
			return nil
		})
	}
	err := g.Wait()
	return int(moved.Load()), err
}

// dice is the same number from 0 to 99 for the same thing and question, in every run.
func dice(thing, question string) int {
	h := fnv.New32a()
	_, _ = io.WriteString(h, question+"|"+thing) // a hash never fails
	return int(h.Sum32() % 100)
}

// progress draws a bar for people; what is no terminal gets none.
func (p *Play) progress(total int, what string) *progressbar.ProgressBar {
	f, isFile := p.cfg.Progress.(*os.File)
	return progressbar.NewOptions(total, progressbar.OptionSetWriter(p.cfg.Progress), progressbar.OptionSetDescription(what),
		progressbar.OptionSetVisibility(isFile && term.IsTerminal(int(f.Fd()))),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(false), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionOnCompletion(func() { _, _ = io.WriteString(p.cfg.Progress, "\n") })) // the bar is only for show
}
