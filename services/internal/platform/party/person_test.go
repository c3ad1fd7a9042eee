package party_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
)

func TestPersonOf(t *testing.T) {
	got := party.PersonOf(&typev1.Person{
		Id: "p", Mail: "Hanako@Example.co.jp", Phone: "03-1234-5678", Title: "営業　部長",
		Name: &typev1.PersonName{Family: " 佐藤", Given: "花子", FamilyKana: "ｻﾄｳ"},
	})
	want := party.Person{
		ID: "p", Family: "佐藤", Given: "花子", FamilyKana: "サトウ", Mail: "Hanako@Example.co.jp", Phone: "+81312345678", Title: "営業 部長",
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if again := party.PersonOf(got.Proto()); again != got {
		t.Errorf("%+v became %+v on its way", got, again)
	}
	if odd := party.PersonOf(&typev1.Person{Phone: "ext. 12"}); odd.Phone != "ext. 12" {
		t.Errorf("a phone that cannot be understood became %q", odd.Phone)
	}
	if p := (party.Person{}).Proto(); p != nil || party.PersonOf(nil) != (party.Person{}) {
		t.Errorf("nobody became %v", p)
	}
	if !proto.Equal(want.Named().Proto().GetName(), &typev1.PersonName{Family: "佐藤", Given: "花子", FamilyKana: "サトウ", Full: "佐藤 花子"}) {
		t.Errorf("named it is %+v", want.Named())
	}
}

func TestPersonName(t *testing.T) {
	for _, tt := range []struct {
		in   party.Person
		want string
	}{
		{party.Person{Family: "佐藤", Given: "花子"}, "佐藤 花子"},
		{party.Person{Family: "Smith", Given: "Anna"}, "Anna Smith"},
		{party.Person{Family: "Smith"}, "Smith"},
		{party.Person{Family: "スミス", Given: "Anna"}, "スミス Anna"},
		{party.Person{Family: "佐藤", Full: " サトウ様 "}, "サトウ様"},
		{party.Person{Mail: "a@example.com"}, ""},
	} {
		if got := tt.in.Name(); got != tt.want {
			t.Errorf("%+v is called %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestIdentified(t *testing.T) {
	known := party.Person{ID: "old", Full: "佐藤 花子", Mail: "sato@example.com"}
	for name, tt := range map[string]struct {
		in   party.Person
		want string // "new" is any that is neither
	}{
		"nobody":       {party.Person{}, ""},
		"own id":       {party.Person{ID: "own", Mail: known.Mail}, "own"},
		"same mail":    {party.Person{Mail: "Sato@Example.com", Title: "部長"}, "old"},
		"same name":    {party.Person{Family: "佐藤", Given: "花子"}, "old"},
		"other mail":   {party.Person{Full: known.Full, Mail: "other@example.com"}, "new"},
		"someone else": {party.Person{Full: "鈴木"}, "new"},
	} {
		got := tt.in.Identified(party.Person{Full: "鈴木"}, known).ID
		if isNew := got != "" && got != "own" && got != "old"; isNew != (tt.want == "new") || !isNew && got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
