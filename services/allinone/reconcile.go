package allinone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/config"
)

type reconcileCmd struct {
	Gateway string        `help:"Address of the gateway." default:"http://127.0.0.1:8080" placeholder:"URL"`
	Data    string        `help:"Folder with the issuer's key, to make a token with." default:".data" placeholder:"DIR"`
	Token   string        `help:"Token of an administrator; empty makes one with the key in the data folder." placeholder:"TOKEN"`
	DryRun  bool          `help:"Only report, mend nothing."`
	Timeout time.Duration `help:"How long one department may take." default:"5m"`
}

// maxReport bounds the answer of one department.
const maxReport = 64 << 20

func (c *reconcileCmd) Run() error {
	if c.Token == "" {
		issuer, err := access.OpenIssuer(access.EmbeddedIssuer, filepath.Join(c.Data, config.KeyFileName))
		if err != nil {
			return err
		}
		if c.Token, err = issuer.Token("reconcile", "tasuki reconcile", []access.Role{access.RoleAdmin}, c.Timeout*10); err != nil {
			return err
		}
	}
	reports := map[access.Department]*handoffv1.ReconcileHandoffsResponse{}
	var failed []error
	for _, def := range Definitions() {
		report, err := c.ask(context.Background(), def.Name)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", def.Name, err))
			continue
		}
		reports[def.Name] = report
	}
	return errors.Join(append(failed, printReconciliation(os.Stdout, reports))...)
}

// ask lets one department compare its ledger.
func (c *reconcileCmd) ask(ctx context.Context, d access.Department) (*handoffv1.ReconcileHandoffsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	body, err := protojson.Marshal(&handoffv1.ReconcileHandoffsRequest{DryRun: c.DryRun})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Gateway+"/"+d.String()+"/v1/handoffs:reconcile", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxReport))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", resp.Status, answer)
	}
	report := &handoffv1.ReconcileHandoffsResponse{}
	return report, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(answer, report)
}

// printReconciliation prints a line for each pair of departments and one for each difference. It fails when something is left
// that somebody must look at.
func printReconciliation(out io.Writer, reports map[access.Department]*handoffv1.ReconcileHandoffsResponse) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "SENDER\tRECEIVER\tCOMPARED\tDIFFERENT\tMENDED\tNOTE")
	var left int64
	var differences []*handoffv1.Difference
	var failed []error
	for _, d := range access.Departments() {
		for _, p := range reports[d].GetPeers() {
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\n", d, p.GetTo(), p.GetCompared(), p.GetDifferent(), p.GetMended(), p.GetError())
			left += p.GetDifferent() - p.GetMended()
			differences = append(differences, p.GetDifferences()...)
			if p.GetError() != "" {
				failed = append(failed, fmt.Errorf("%s to %s was not compared to the end: %s", d, p.GetTo(), p.GetError()))
			}
		}
	}
	if len(differences) > 0 {
		fmt.Fprintln(w, "\nHANDOFF\tSENDER HAS\tRECEIVER HAS\tMENDED\tWHAT")
	}
	for _, x := range differences {
		mended := "no"
		if x.GetMended() {
			mended = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", x.GetHandoffId(), x.GetSender(), x.GetReceiver(), mended, x.GetDescription().GetEn())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if left > 0 {
		failed = append(failed, fmt.Errorf("%d differences are left", left))
	}
	return errors.Join(failed...)
}
