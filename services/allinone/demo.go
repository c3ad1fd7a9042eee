package allinone

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tasuki-project/tasuki/services/allinone/internal/demo"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/config"
)

type demoCmd struct {
	Server
	Leads   []string `help:"CSV file of leads; repeat for several." required:"" type:"existingfile" placeholder:"FILE"`
	Gateway string   `help:"Play against this gateway instead of starting one; its tokens are signed with the key in the data folder." placeholder:"URL"`
	Exit    bool     `help:"End when the play is over instead of going on serving."`
	Report  string   `help:"Where to write what became of every row; empty is demo-report.csv in the data folder." placeholder:"FILE"`
}

func (c *demoCmd) Run() error {
	ctx := context.Background()
	if c.Gateway != "" {
		return c.play(ctx, c.Gateway)
	}
	return c.serve(ctx, func(address string, took time.Duration, logger *slog.Logger) error {
		if err := c.play(ctx, "http://"+address); err != nil {
			return err
		}
		if c.Exit {
			return errDone
		}
		announce(os.Stdout, c.Server, address, took, logger)
		return nil
	})
}

// players sign in under these names.
var players = map[string]string{
	"MARKETING": "sato", "INSIDE_SALES": "suzuki", "FIELD_SALES": "takahashi", "CUSTOMER_SUCCESS": "yamamoto",
}

func (c *demoCmd) play(ctx context.Context, url string) error {
	if !strings.Contains(url, "://") {
		return fmt.Errorf("--gateway %q is no URL: write http://host:port", url)
	}
	issuer, err := access.OpenIssuer(access.EmbeddedIssuer, filepath.Join(c.Data, config.KeyFileName))
	if err != nil {
		return err
	}
	report := c.Report
	if report == "" {
		report = filepath.Join(c.Data, "demo-report.csv")
	}
	return demo.New(demo.Config{
		Gateway: url, Files: c.Leads, Report: report, Out: os.Stdout, Progress: os.Stderr,
		Tokens: func(role string) (string, error) {
			return issuer.Token(players[role], players[role], []access.Role{access.Role(role)}, time.Hour)
		},
	}).Run(ctx)
}
