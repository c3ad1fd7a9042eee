package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// imported is a lead file and what became of its rows.
type imported struct {
	path string
	done *marketingv1.LeadImport
	rows []*marketingv1.LeadImportRow
}

// importFile sends a file and waits until every row is done. The key is the file's own hash: sending the same file again
// finds the same import.
func (p *Play) importFile(ctx context.Context, path string) (*imported, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("lead file: %w", err)
	}
	sum := sha256.Sum256(content)
	query := url.Values{"filename": {filepath.Base(path)}}
	file := &imported{path: path, done: &marketingv1.LeadImport{}}
	err = p.rest.call(ctx, marketing, http.MethodPost, "/v1/leads:import?"+query.Encode(),
		"demo-import-"+hex.EncodeToString(sum[:16]), content, "text/csv", file.done)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := p.awaitImport(ctx, file); err != nil {
		return nil, err
	}
	err = pages(func(token string) (string, error) {
		var page marketingv1.ListLeadImportRowsResponse
		err := p.rest.get(ctx, marketing, "/v1/lead-imports/"+file.done.GetId()+"/rows", url.Values{"pageSize": {"500"}, "pageToken": {token}}, &page)
		file.rows = append(file.rows, page.GetLeadImportRows()...)
		return page.GetNextPageToken(), err
	})
	return file, err
}

func (p *Play) awaitImport(ctx context.Context, file *imported) error {
	bar := p.progress(int(file.done.GetTotalRows()), "import "+filepath.Base(file.path))
	for {
		if err := p.rest.get(ctx, marketing, "/v1/lead-imports/"+file.done.GetId(), nil, file.done); err != nil {
			return err
		}
		_ = bar.Set(int(file.done.GetProcessedRows())) // a bar that cannot be drawn must not stop an import
		switch file.done.GetState() {
		case marketingv1.LeadImport_STATE_DONE:
			return bar.Finish()
		case marketingv1.LeadImport_STATE_FAILED:
			return fmt.Errorf("%s: import failed: %s", file.path, file.done.GetError().GetEn())
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// pause waits, unless the context ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
