package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

const (
	sampleID   = "01980f5e-7c1a-7b44-9e0a-3f1c2d4b5a69"
	sampleTime = 1775012400 // 2026-04-01 12:00 in Tokyo
	sampleFile = "会社名,氏名,メールアドレス\n株式会社タスキ,佐藤 花子,hanako.sato@tasuki.example.co.jp\n"
)

// samples are values that people recognise, by the name of the field, or by `Message.field` where the name alone says
// too little; of a map, `key=value`. Fields without one appear in the example of a request only where they must.
var samples = map[string]string{
	"Calendar.company_holidays": "12-29..01-03", "Calendar.hours": "mon-fri=09:00-18:00", "Calendar.name": "osaka-branch",
	"Calendar.national": "jp", "Calendar.zone": "Asia/Tokyo",
	"Consent.basis": "OPT_IN", "Consent.channel": "MAIL",
	"CreateApiKeyRequest.display_name": "nightly import",
	"CsqlHealth.evidence":              "NPS 9、未解決の問い合わせなし", "CsqlUsage.evidence": "週次利用率 92%、全 10 席が稼働", "Label.en": "No budget", "Label.ja": "予算なし",
	"BrokenPromise.promise": "4月中に会計システムと連携", "CreateCustomerFeedbackRequest.text": "週次の会議で使っている。英語の画面もほしい。",
	"CreateNpsResponseRequest.invitation_id": "2026-04-nps-0001", "LateGap.field": "decision_process", "correction_reason": "引き継ぎ後に判明した不足を追記",
	"reasons": "INDUSTRY", "verbatim": "導入後すぐに使えるようになりました。",
	"ConsentEvidence.address": "hanako.sato@tasuki.example.co.jp", "ConsentEvidence.evidence": "form 4711",
	"ConsentEvidence.method": "WEB_FORM", "ConsentEvidence.text_version": "privacy-2026-04",
	"MergePeopleRequest.other_id":  "01980f5e-7c1a-7b44-9e0a-3f1c2d4b5a70",
	"RecordConsentRequest.channel": "MAIL", "RequestErasureRequest.reason": "本人からの依頼", "WithdrawConsentRequest.channel": "MAIL",
	"Policy.calendar": "company", "Policy.code": "MQL", "PolicyStep.escalate_to": "inside-sales/lead", "Queue.code": "enterprise",
	"StatedNeed.evidence": "4 月定例会の議事録", "StatedNeed.statement": "大阪支店でも使いたい",
	"action": "demo_request", "assignee": "sato", "campaign": "2026 spring seminar", "channel": "WEB_FORM",
	"code": "NO_BUDGET", "company_domain": "tasuki.example.co.jp", "company_name": "株式会社タスキ",
	"currency_code": "JPY", "customer_benefit": "支店間の引き継ぎ漏れがなくなる", "description": "見積を送る", "domain": "tasuki.example.co.jp", "family": "佐藤",
	"family_kana": "サトウ", "full": "佐藤 花子", "given": "花子", "given_kana": "ハナコ", "id": sampleID, "industry": "製造業",
	"mail": "hanako.sato@tasuki.example.co.jp", "missing": "company.domain", "name": "株式会社タスキ",
	"note": "来週の火曜日に電話する", "owner": "sato", "phone": "+81312345678", "product": "Tasuki Standard",
	"reason": "NO_BUDGET", "stage": "PROPOSAL", "title": "営業部長", "url": "https://tasuki.example.co.jp/",
}

// deepest is how far an example follows messages in messages.
const deepest = 4

// exampleOf makes a request that passes the rules of the contract: with all fields that have a sample, or else with the
// required ones only. It returns nil, and says so, where neither passes.
func exampleOf(message protoreflect.MessageDescriptor, without map[string]bool) any {
	var problems []error
	for _, isFull := range []bool{true, false} {
		m := fill(message, isFull, 0)
		if err := protovalidate.Validate(m); err != nil {
			problems = append(problems, err)
			continue
		}
		for i := range message.Fields().Len() {
			field := message.Fields().Get(i)
			if without[field.JSONName()] || without[string(field.Name())] {
				m.Clear(field)
			}
		}
		var example any
		text, err := protojson.Marshal(m)
		if err == nil {
			err = json.Unmarshal(text, &example)
		}
		if err == nil {
			return example
		}
		problems = append(problems, err)
	}
	fmt.Fprintf(os.Stderr, "openapi: no example for %s: %v\n", message.FullName(), errors.Join(problems...))
	return nil
}

func fill(message protoreflect.MessageDescriptor, isFull bool, depth int) *dynamicpb.Message {
	m := dynamicpb.NewMessage(message)
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		isWanted := isRequired(field) || isFull && (hasSample(field) || field.Message() != nil && !field.IsMap() && depth < deepest)
		if depth > 0 && field.Name() == "id" && !isRequired(field) {
			isWanted = false // Ids of new things come from the server.
		}
		if !isWanted || behaves(field, annotations.FieldBehavior_OUTPUT_ONLY) || isLaterChoice(field) {
			continue
		}
		if field.IsMap() {
			fillMap(m, field)
			continue
		}
		value, ok := sample(field, isFull, depth)
		switch {
		case !ok:
		case field.IsList():
			m.Mutable(field).List().Append(value)
		default:
			m.Set(field, value)
		}
	}
	return m
}

// fillMap sets the one entry that a map from text to text has a sample for.
func fillMap(m *dynamicpb.Message, field protoreflect.FieldDescriptor) {
	text, _ := sampleText(field)
	if key, value, ok := strings.Cut(text, "="); ok && field.MapValue().Kind() == protoreflect.StringKind {
		m.Mutable(field).Map().Set(protoreflect.ValueOfString(key).MapKey(), protoreflect.ValueOfString(value))
	}
}

func hasSample(field protoreflect.FieldDescriptor) bool {
	_, ok := sampleText(field)
	return ok && (field.Kind() == protoreflect.StringKind || field.IsMap())
}

func sampleText(field protoreflect.FieldDescriptor) (string, bool) {
	if text, ok := samples[string(field.Parent().Name())+"."+string(field.Name())]; ok {
		return text, true
	}
	text, ok := samples[string(field.Name())]
	return text, ok
}

// isLaterChoice tells whether the field is one of a oneof, and not its first.
func isLaterChoice(field protoreflect.FieldDescriptor) bool {
	choice := field.ContainingOneof()
	return choice != nil && !choice.IsSynthetic() && choice.Fields().Get(0) != field
}

// sample gives one value for the field, or for an element of it; false where it has nothing to say.
func sample(field protoreflect.FieldDescriptor, isFull bool, depth int) (protoreflect.Value, bool) {
	switch field.Kind() {
	case protoreflect.StringKind:
		if rules := rulesOf(field); rules.GetString().GetUuid() || rules.GetRepeated().GetItems().GetString().GetUuid() {
			return protoreflect.ValueOfString(sampleID), true
		}
		if choices := rulesOf(field).GetString().GetIn(); len(choices) > 0 {
			return protoreflect.ValueOfString(choices[len(choices)-1]), true
		}
		if text, ok := sampleText(field); ok {
			return protoreflect.ValueOfString(text), true
		}
		return protoreflect.ValueOfString("EXAMPLE"), true
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(sampleFile)), true
	case protoreflect.EnumKind:
		values := field.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(min(1, values.Len()-1)).Number()), true
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true), true
	case protoreflect.Int32Kind:
		if rules := rulesOf(field).GetInt32(); rules.HasLte() {
			return protoreflect.ValueOfInt32(min(12, rules.GetLte())), true
		}
		return protoreflect.ValueOfInt32(12), true
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(12), true
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(12), true
	case protoreflect.MessageKind:
		value, ok := sampleMessage(field.Message(), isFull, depth)
		if ok && strings.HasPrefix(string(field.Name()), "end") && field.Message().FullName() == "google.protobuf.Timestamp" {
			value.Message().Set(field.Message().Fields().ByName("seconds"), protoreflect.ValueOfInt64(sampleTime+3600))
		}
		return value, ok
	default:
		return protoreflect.Value{}, false
	}
}

func sampleMessage(message protoreflect.MessageDescriptor, isFull bool, depth int) (protoreflect.Value, bool) {
	m := dynamicpb.NewMessage(message)
	set := func(name protoreflect.Name, v any) {
		m.Set(message.Fields().ByName(name), protoreflect.ValueOf(v))
	}
	switch message.FullName() {
	case "google.protobuf.Timestamp":
		set("seconds", int64(sampleTime))
	case "google.protobuf.Duration":
		set("seconds", int64(3600))
	case "google.protobuf.FieldMask", "google.protobuf.Any", "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.Empty":
		return protoreflect.Value{}, false
	case "google.type.Money":
		set("currency_code", "JPY")
		set("units", int64(1200000))
	case "google.type.Date":
		set("year", int32(2026))
		set("month", int32(4))
		set("day", int32(1))
	default:
		m = fill(message, isFull, depth+1)
	}
	return protoreflect.ValueOfMessage(m), true
}
