package people

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
)

const (
	hanako = "01980f5e-7c1a-7b44-9e0a-3f1c2d4b5a69"
	jiro   = "01980f5e-7c1a-7b44-9e0a-3f1c2d4b5a70"
)

func person(id, mail, phone, family, given string) *typev1.Person {
	return &typev1.Person{Id: id, Mail: mail, Phone: phone, Title: "部長", Name: &typev1.PersonName{
		Family: family, Given: given, Full: family + " " + given,
	}}
}

func facts() *Facts {
	f := NewFacts(hanako)
	f.LearnProto(person(hanako, "Hanako.Sato@example.co.jp", "03-1234-5678", "佐藤", "花子"))
	return f
}

func TestCutText(t *testing.T) {
	for in, want := range map[string]string{
		"mail hanako.sato@EXAMPLE.co.jp today": "mail [erased] today",
		"03-1234-5678 に電話":                     "[erased] に電話",
		"電話 +81 3 1234 5678":                   "電話 [erased]",
		"0312345678":                           "[erased]",
		"佐藤花子様":                                "[erased]様",
		"佐藤　花子と花子 佐藤":                          "[erased]と[erased]",
		"佐藤商事の部長":                              "佐藤商事の部長", // a family name alone, and a title, say too little
		"03-1234-5679":                         "03-1234-5679",
		"jiro@example.co.jp":                   "jiro@example.co.jp",
	} {
		got, changed := facts().Cut(in)
		if got != want || changed != (in != want) {
			t.Errorf("%q: got %q (%t), want %q", in, got, changed, want)
		}
	}
	if got, changed := NewFacts(hanako).Cut("anything"); got != "anything" || changed {
		t.Errorf("who knows nothing cuts %q", got)
	}
}

func TestCutJSONLeavesTheIDAndEverybodyElse(t *testing.T) {
	doc := `{"contacts":[{"id":"` + hanako + `","name":{"full":"佐藤 花子"},"mail":"hanako.sato@example.co.jp","title":"部長"},
		{"id":"` + jiro + `","mail":"jiro@example.co.jp"}],"amount":12345678901234567,"note":"佐藤花子さん経由"}`
	f := NewFacts(hanako)
	if err := f.LearnJSON([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	got, changed, err := f.CutJSON([]byte(doc))
	want := `{"amount":12345678901234567,"contacts":[{"id":"` + hanako + `"},{"id":"` + jiro + `","mail":"jiro@example.co.jp"}],"note":"[erased]さん経由"}`
	if err != nil || !changed || string(got) != want {
		t.Errorf("got %s, %t, %v", got, changed, err)
	}
	if _, again, err := f.CutJSON(got); again || err != nil {
		t.Errorf("cutting again changes something: %v", err)
	}
}

func TestCutProtoReachesEverywhere(t *testing.T) {
	payload := &handoffv1.Payload{Kind: &handoffv1.Payload_Mql{Mql: &handoffv1.MqlPayload{
		Person: person(hanako, "hanako.sato@example.co.jp", "+81312345678", "佐藤", "花子"), Notes: "佐藤花子 asks",
		Company: &typev1.Company{Name: "株式会社タスキ"},
	}}}
	inner, err := anypb.New(&handoffv1.Handoff{PersonId: hanako, Payload: payload, OfferedBy: &typev1.Actor{Id: "sato", DisplayName: "佐藤 花子"}})
	if err != nil {
		t.Fatal(err)
	}
	ev := &feedv1.Event{Subject: "handoff/1", Data: inner}
	f := NewFacts(hanako)
	f.LearnProto(ev)
	if !f.CutProto(ev) {
		t.Fatal("nothing was cut")
	}
	h := &handoffv1.Handoff{}
	if err := ev.GetData().UnmarshalTo(h); err != nil {
		t.Fatal(err)
	}
	mql := h.GetPayload().GetMql()
	if !proto.Equal(mql.GetPerson(), &typev1.Person{Id: hanako}) || mql.GetNotes() != "[erased] asks" || h.GetPersonId() != hanako {
		t.Errorf("left: %v", mql)
	}
	if mql.GetCompany().GetName() != "株式会社タスキ" || h.GetOfferedBy().GetDisplayName() == "" {
		t.Errorf("too much is gone: %v", h)
	}
	if f.CutProto(ev) {
		t.Error("cutting again changes something")
	}
}

func TestRename(t *testing.T) {
	h := &handoffv1.Handoff{PersonId: hanako, Payload: &handoffv1.Payload{Kind: &handoffv1.Payload_ClosedWon{ClosedWon: &handoffv1.ClosedWonPayload{
		Contact: person(hanako, "h@example.co.jp", "", "佐藤", "花子"),
	}}}}
	if !Rename(h, hanako, jiro) || h.GetPersonId() != jiro || h.GetPayload().GetClosedWon().GetContact().GetId() != jiro {
		t.Errorf("got %v", h)
	}
	if strings.Contains(h.String(), hanako) || Rename(h, hanako, jiro) {
		t.Error("the merged id is still there")
	}
}
