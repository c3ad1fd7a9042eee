package allinone

import (
	"strings"
	"testing"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
)

func TestPrintReconciliation(t *testing.T) {
	peer := &handoffv1.PeerReconciliation{To: "inside-sales", Compared: 3, Different: 1, Mended: 1, Differences: []*handoffv1.Difference{{
		HandoffId: "0198", Sender: "1 OFFERED", Receiver: "1 ACCEPTED", Mended: true, Description: &typev1.Label{En: "It is applied."},
	}}}
	reports := map[access.Department]*handoffv1.ReconcileHandoffsResponse{
		access.Marketing: {Peers: []*handoffv1.PeerReconciliation{peer}}, access.CustomerSuccess: {},
	}
	var out strings.Builder
	if err := printReconciliation(&out, reports); err != nil {
		t.Error(err)
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) < 5 || strings.Join(strings.Fields(lines[1]), " ") != "marketing inside-sales 3 1 1" || !strings.Contains(lines[4], "It is applied.") {
		t.Errorf("printed\n%s", out.String())
	}
	peer.Different, peer.Error = 2, "inside-sales cannot answer now"
	err := printReconciliation(&out, reports)
	if err == nil || !strings.Contains(err.Error(), "1 differences are left") || !strings.Contains(err.Error(), "not compared to the end") {
		t.Errorf("what is left gives %v", err)
	}
}
