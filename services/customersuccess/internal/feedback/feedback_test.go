package feedback

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

func TestCategory(t *testing.T) {
	for score, want := range []pb.NpsResponse_Category{
		1, 1, 1, 1, 1, 1, 1, pb.NpsResponse_CATEGORY_PASSIVE, pb.NpsResponse_CATEGORY_PASSIVE,
		pb.NpsResponse_CATEGORY_PROMOTER, pb.NpsResponse_CATEGORY_PROMOTER,
	} {
		if got := category(int32(score)); got != want {
			t.Errorf("%d is %v, want %v", score, got, want)
		}
	}
}

func TestTurn(t *testing.T) {
	for name, tt := range map[string]struct {
		last   *pb.Advocacy
		begins bool
		want   int32 // 0: not legal
	}{
		"first":             {nil, true, 1},
		"nothing to end":    {nil, false, 0},
		"twice":             {&pb.Advocacy{IsAdvocate: true, Revision: 1}, true, 0},
		"end":               {&pb.Advocacy{IsAdvocate: true, Revision: 1}, false, 2},
		"ended already":     {&pb.Advocacy{Revision: 2}, false, 0},
		"begin once more":   {&pb.Advocacy{Revision: 2}, true, 3},
		"end the next time": {&pb.Advocacy{IsAdvocate: true, Revision: 3}, false, 4},
	} {
		got, err := turn(tt.last, tt.begins)
		if illegal := errors.Is(err, problem.IllegalTransition("", "", "", nil)); got != tt.want || illegal != (tt.want == 0) {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
}

// Two sets of kinds share a bit exactly when they share a kind; a filter that is not set selects nothing by itself.
func TestBits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kinds := rapid.SliceOfDistinct(rapid.Int32Range(1, 3), rapid.ID[int32])
		a, b := kinds.Draw(t, "a"), kinds.Draw(t, "b")
		share := false
		for _, x := range a {
			for _, y := range b {
				share = share || x == y
			}
		}
		if got := bits(a...)&bits(b...) != 0; got != share {
			t.Fatalf("%v and %v share: %t", a, b, got)
		}
	})
	if bits(pb.CustomerFeedback_KIND_UNSPECIFIED) != 0 {
		t.Error("no kind has a bit")
	}
}

func TestPast(t *testing.T) {
	now := time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC)
	if at, err := past("said_at", nil, now); err != nil || !at.Equal(now) {
		t.Errorf("not set: %v, %v", at, err)
	}
	if at, err := past("said_at", timestamppb.New(now.Add(-time.Hour)), now); err != nil || !at.Equal(now.Add(-time.Hour)) {
		t.Errorf("an hour ago: %v, %v", at, err)
	}
	for _, bad := range []*timestamppb.Timestamp{timestamppb.New(now.Add(time.Second)), {Seconds: 1 << 60}} {
		if _, err := past("said_at", bad, now); !errors.Is(err, problem.Invalid()) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestPeople(t *testing.T) {
	if tidy(nil) != nil || tidy(&typev1.Person{}) != nil {
		t.Error("nobody is somebody")
	}
	sent := &typev1.Person{Name: &typev1.PersonName{Family: "佐藤", Given: "花子"}, Mail: " Hanako@Example.co.jp", Phone: "03-1234-5678"}
	p := tidy(sent)
	if p.GetName().GetFull() != "佐藤 花子" || p.GetMail() != "hanako@example.co.jp" || p.GetPhone() != "+81312345678" {
		t.Errorf("%v", p)
	}
	if sent.GetName().GetFull() != "" {
		t.Error("the request was changed")
	}
	for name, tt := range map[string]struct {
		person *typev1.Person
		ok     bool
	}{
		"mail":           {&typev1.Person{Mail: "hanako@example.co.jp"}, true},
		"phone":          {&typev1.Person{Phone: "03-1234-5678"}, true},
		"no mail":        {&typev1.Person{Mail: "hanako", Phone: "03-1234-5678"}, false},
		"no phone":       {&typev1.Person{Phone: "later"}, false},
		"nothing at all": {nil, false},
	} {
		if err := reachable(tt.person); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
