package telemetry

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// signals are what a program reports: the names of its metrics as Prometheus sees them, each with its labels and help.
type signals map[string]*signal

type signal struct {
	help   string
	labels map[string]bool
	// values by series, as it is written.
	values map[string]string
}

var (
	series = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)`)
	label  = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"`)
)

// scrape reads a page of metrics.
func scrape(ctx context.Context, address string) (signals, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", address, resp.Status)
	}
	found, help := signals{}, map[string]string{}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if name, text, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "# HELP "), " "); ok && strings.HasPrefix(lines.Text(), "# HELP ") {
			help[name] = text
			continue
		}
		m := series.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		s := found[m[1]]
		if s == nil {
			s = &signal{help: help[strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(m[1], "_bucket"), "_count"), "_sum")], labels: map[string]bool{}, values: map[string]string{}}
			found[m[1]] = s
		}
		s.values[m[2]] = m[3]
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			s.labels[l[1]] = true
		}
	}
	return found, lines.Err()
}

// missing are the names that are not reported.
func (s signals) missing(names []string) []string {
	var none []string
	for _, name := range names {
		if s[name] == nil {
			none = append(none, name)
		}
	}
	return none
}

// scraped waits until a program answers and reports what is wanted.
func (h *observed) scraped(t *testing.T, program string, want []string) signals {
	t.Helper()
	var found signals
	h.await(t, program+" reports everything", func() (err error) {
		if found, err = scrape(t.Context(), h.metrics[program]); err != nil {
			return err
		}
		if none := found.missing(want); len(none) > 0 {
			return fmt.Errorf("%s does not report %v", program, none)
		}
		return nil
	})
	return found
}
