package people

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

var epoch = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)

// word is any word on one of three channels, within ten days.
func word() *rapid.Generator[Consent] {
	return rapid.Custom(func(t *rapid.T) Consent {
		return Consent{
			Channel: rapid.SampledFrom([]string{Mail, Phone, "POST"}).Draw(t, "channel"), Granted: rapid.Bool().Draw(t, "granted"),
			Basis: rapid.SampledFrom([]string{"", OptIn, ExistingRelation, BusinessCard, Published}).Draw(t, "basis"),
			At:    epoch.AddDate(0, 0, rapid.IntRange(0, 9).Draw(t, "day")),
		}
	})
}

// state is that of one person: at most one word per channel, as Strictest orders it.
func state() *rapid.Generator[[]Consent] {
	return rapid.Custom(func(t *rapid.T) []Consent { return Strictest(rapid.SliceOfN(word(), 0, 6).Draw(t, "words"), nil) })
}

func TestMergedConsentsDoNotHangOnTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := state().Draw(t, "a"), state().Draw(t, "b"), state().Draw(t, "c")
		ab := Strictest(a, b)
		if diff := cmp.Diff(ab, Strictest(b, a)); diff != "" {
			t.Errorf("not commutative:\n%s", diff)
		}
		if diff := cmp.Diff(ab, Strictest(ab, b)); diff != "" {
			t.Errorf("not idempotent:\n%s", diff)
		}
		if diff := cmp.Diff(Strictest(ab, c), Strictest(a, Strictest(b, c))); diff != "" {
			t.Errorf("not associative:\n%s", diff)
		}
	})
}

func TestAWithdrawalWinsEveryMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := state().Draw(t, "a"), state().Draw(t, "b")
		merged := Strictest(a, b)
		for _, c := range append(a, b...) {
			if !c.Granted && Allowed(merged, c.Channel) {
				t.Errorf("%s was withdrawn in one record and is allowed after the merge", c.Channel)
			}
		}
		for _, c := range merged {
			if c.Granted != Allowed(merged, c.Channel) {
				t.Errorf("%+v, allowed %t", c, Allowed(merged, c.Channel))
			}
		}
	})
}

func TestAWithdrawalWinsOverEverythingButALaterOptIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have := state().Draw(t, "before")
		withdrawn := Consent{Channel: Mail, At: epoch.AddDate(0, 0, 20)}
		now, _ := Heed(have, withdrawn)
		for _, c := range rapid.SliceOf(word()).Draw(t, "after") { // all of them earlier
			now, _ = Heed(now, c)
		}
		for _, basis := range []string{ExistingRelation, BusinessCard, Published, ""} {
			now, _ = Heed(now, Consent{Channel: Mail, Granted: true, Basis: basis, At: epoch.AddDate(0, 0, 30)})
		}
		now, _ = Heed(now, Consent{Channel: Mail, Granted: true, Basis: OptIn, At: withdrawn.At})
		if Allowed(now, Mail) {
			t.Fatalf("mail is allowed after a withdrawal: %+v", now)
		}
		now, changed := Heed(now, Consent{Channel: Mail, Granted: true, Basis: OptIn, At: epoch.AddDate(0, 0, 21)})
		if !changed || !Allowed(now, Mail) {
			t.Errorf("a later opt-in counts for nothing: %+v", now)
		}
	})
}

func TestHeedingAgainChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, c := state().Draw(t, "have"), word().Draw(t, "word")
		before := append([]Consent{}, have...)
		once, _ := Heed(have, c)
		if diff := cmp.Diff(before, append([]Consent{}, have...)); diff != "" {
			t.Errorf("Heed changed what it was given:\n%s", diff)
		}
		if _, again := Heed(once, c); again {
			t.Errorf("%+v twice changes %+v", c, once)
		}
	})
}

func TestLatest(t *testing.T) {
	told := []Consent{{Mail, false, "", epoch.AddDate(0, 0, 2)}, {Phone, true, OptIn, epoch}}
	handed := []Consent{{Mail, true, OptIn, epoch}, {Phone, false, "", epoch}, {"POST", true, Published, epoch}}
	want := []Consent{{Mail, false, "", epoch.AddDate(0, 0, 2)}, {Phone, false, "", epoch}, {"POST", true, Published, epoch}}
	for _, got := range [][]Consent{Latest(told, handed), Latest(handed, told)} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestMailNeedsAWordAndPhoneDoesNot(t *testing.T) {
	if Allowed(nil, Mail) || !Allowed(nil, Phone) {
		t.Error("without a word mail must be closed and phone open")
	}
}
