package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is a line of `go test -json`; see `go doc test2json`. Build output comes with ImportPath instead of Package.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Output      string
	FailedBuild string
}

type tally struct{ passed, failed, skipped int }

type outcome struct {
	action string
	output []string
}

// counter follows the events of one `go test -json`.
type counter struct {
	w io.Writer
	// results of tests by package and name; the package itself has the empty name.
	results map[[2]string]*outcome
	builds  map[string][]string
}

func newCounter(w io.Writer) *counter {
	return &counter{w: w, results: map[[2]string]*outcome{}, builds: map[string][]string{}}
}

// read follows the events to the end, and prints the output of what fails.
func (c *counter) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			c.line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *counter) line(line string) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil {
		fmt.Fprint(c.w, line) // Not every complaint of go test is JSON.
		return
	}
	key := [2]string{e.Package, e.Test}
	result := c.results[key]
	if result == nil && e.Package != "" {
		result = &outcome{}
		c.results[key] = result
	}
	switch e.Action {
	case "output":
		result.output = append(result.output, e.Output)
	case "build-output":
		c.builds[e.ImportPath] = append(c.builds[e.ImportPath], e.Output)
	case "pass", "skip":
		result.action, result.output = e.Action, keepSkip(e.Action, result.output)
	case "fail":
		result.action = "fail"
		output := result.output
		if e.FailedBuild != "" {
			output = append(c.builds[e.FailedBuild], output...)
			delete(c.builds, e.FailedBuild)
		}
		fmt.Fprint(c.w, strings.Join(output, ""))
		result.output = nil
	}
}

// keepSkip forgets the output of what passed: it can be long.
func keepSkip(action string, output []string) []string {
	if action == "skip" {
		return output
	}
	return nil
}

func (c *counter) tally() tally {
	parents := map[[2]string]bool{}
	childFailed := map[[2]string]bool{}
	for key, result := range c.results {
		for parent := key; parent[1] != ""; {
			name, _ := cutLast(parent[1])
			parent = [2]string{key[0], name}
			parents[parent] = true
			if result.unhappy() {
				childFailed[parent] = true
			}
		}
	}
	var t tally
	for key, result := range c.results {
		isPackage := key[1] == ""
		switch {
		case result.unhappy():
			if !childFailed[key] {
				t.failed++
			}
		case isPackage || parents[key]:
		case result.action == "pass":
			t.passed++
		case result.action == "skip":
			t.skipped++
		}
	}
	return t
}

// unhappy is a test that failed, or never came to its end because the program did.
func (o *outcome) unhappy() bool { return o.action == "fail" || o.action == "" }

// skips lists why tests were skipped, each reason once with the number of tests.
func (c *counter) skips() []string {
	count := map[string]int{}
	for key, result := range c.results {
		if result.action == "skip" && key[1] != "" {
			count[reason(result.output)]++
		}
	}
	lines := make([]string, 0, len(count))
	for why, n := range count {
		lines = append(lines, fmt.Sprintf("%d × %s", n, why))
	}
	slices.Sort(lines)
	return lines
}

// reason is the text given to t.Skip: the indented "file.go:12: text" before the "--- SKIP" line.
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		line = strings.TrimSpace(line)
		if _, text, ok := strings.Cut(line, ".go:"); ok {
			if _, text, ok := strings.Cut(text, ": "); ok {
				return text
			}
		}
	}
	return "no reason given"
}

// cutLast gives the name of the parent test, empty for the package.
func cutLast(name string) (parent, last string) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return "", name
	}
	return name[:i], name[i+1:]
}
