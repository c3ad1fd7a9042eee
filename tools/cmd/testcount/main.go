// Command testcount runs `go test -json` in several modules and says what came out: the output of what failed, why
// anything was skipped, a line per module, and at last "N passed, M failed". Tests that only hold subtests are not
// counted besides them.
//
//	testcount -modules "proto/gen e2e" -- -race ./...
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	modules := flag.String("modules", "", "folders of the modules, separated by spaces")
	strict := flag.Bool("strict", false, "count a skipped test as failed: where everything must run")
	record := flag.String("record", "", "file to append \"passed failed\" to")
	flag.Parse()
	var total tally
	for _, module := range strings.Fields(*modules) {
		result, err := runModule(module, flag.Args(), *strict)
		if err != nil {
			fmt.Fprintln(os.Stderr, "testcount:", err)
			os.Exit(2)
		}
		total.passed += result.passed
		total.failed += result.failed
	}
	if *record != "" {
		if err := appendLine(*record, fmt.Sprintf("%d %d\n", total.passed, total.failed)); err != nil {
			fmt.Fprintln(os.Stderr, "testcount:", err)
			os.Exit(2)
		}
	}
	fmt.Printf("%d passed, %d failed\n", total.passed, total.failed)
	if total.failed > 0 {
		os.Exit(1)
	}
}

// runModule tests one module and prints its failures as they come, and its line.
func runModule(module string, args []string, strict bool) (tally, error) {
	if sources, err := goFiles(module); err != nil || !sources {
		fmt.Printf("  --    %-32s no Go files yet\n", module)
		return tally{}, err
	}
	start := time.Now()
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Dir = module
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return tally{}, err
	}
	if err := cmd.Start(); err != nil {
		return tally{}, err
	}
	counter := newCounter(os.Stdout)
	if err := counter.read(stdout); err != nil {
		return tally{}, err
	}
	exit := cmd.Wait()
	result := counter.tally()
	if exit != nil && result.failed == 0 {
		fmt.Printf("%s: go test: %v\n", module, exit)
		result.failed++ // It failed before any package could say so.
	}
	for _, skip := range counter.skips() {
		fmt.Printf("  skip  %-32s %s\n", module, skip)
	}
	if strict {
		result.failed += result.skipped
	}
	mark := "ok"
	if result.failed > 0 {
		mark = "FAIL"
	}
	fmt.Printf("  %-5s %-32s %d passed, %d failed, %d skipped in %.1f s\n",
		mark, module, result.passed, result.failed, result.skipped, time.Since(start).Seconds())
	return result, nil
}

// goFiles tells whether there is anything to test: a module may be laid out before it is filled.
func goFiles(dir string) (bool, error) {
	found := false
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") {
			found = true
			return filepath.SkipAll
		}
		return err
	})
	return found, err
}

func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(line); err != nil {
		_ = f.Close() // The write error says more.
		return err
	}
	return f.Close()
}
