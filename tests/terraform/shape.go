package main

import (
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Kinds of properties. A document is any JSON object, which Terraform has as text.
const (
	aString   = "string"
	anInteger = "integer"
	aBoolean  = "boolean"
	aMap      = "map" // of strings
	aDocument = "document"
	anObject  = "object"
	aList     = "list"
)

// property is one of a resource's properties, by the name that Cloud Control has for it.
type property struct {
	Attribute  string               `json:"attribute"` // its name in Terraform
	Kind       string               `json:"kind"`
	ReadOnly   bool                 `json:"read_only"`
	CreateOnly bool                 `json:"create_only"`
	WriteOnly  bool                 `json:"write_only"`
	Item       *property            `json:"item"`       // of a list
	Properties map[string]*property `json:"properties"` // of an object
}

// idAttribute is where Terraform keeps a resource's identifier. No property has that name at the top.
const idAttribute = "id"

func (p *property) terraformType() tftypes.Type {
	switch p.Kind {
	case anInteger:
		return tftypes.Number
	case aBoolean:
		return tftypes.Bool
	case aList:
		return tftypes.List{ElementType: p.Item.terraformType()}
	case aMap:
		return tftypes.Map{ElementType: tftypes.String}
	case anObject:
		types := map[string]tftypes.Type{}
		for _, one := range p.Properties {
			types[one.Attribute] = one.terraformType()
		}
		return tftypes.Object{AttributeTypes: types}
	}
	return tftypes.String
}

// model is the JSON that stands for a value; nil for one that is null, unknown or empty.
func (p *property) model(value tftypes.Value) (any, error) {
	if value.IsNull() || !value.IsKnown() {
		return nil, nil
	}
	switch p.Kind {
	case anInteger:
		return integer(value)
	case aBoolean:
		var found bool
		err := value.As(&found)
		return found, err
	case aList:
		return p.listModel(value)
	case aMap:
		return mapModel(value)
	case anObject:
		return p.objectModel(value)
	}
	var text string
	if err := value.As(&text); err != nil || p.Kind == aString {
		return text, err
	}
	var document any
	err := json.Unmarshal([]byte(text), &document)
	return document, err
}

func integer(value tftypes.Value) (any, error) {
	number := new(big.Float)
	if err := value.As(&number); err != nil {
		return nil, err
	}
	found, _ := number.Int64()
	return found, nil
}

func (p *property) listModel(value tftypes.Value) (any, error) {
	var items []tftypes.Value
	if err := value.As(&items); err != nil {
		return nil, err
	}
	found := []any{}
	for _, one := range items {
		item, err := p.Item.model(one)
		if err != nil {
			return nil, err
		}
		if item != nil {
			found = append(found, item)
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found, nil
}

func mapModel(value tftypes.Value) (any, error) {
	var members map[string]tftypes.Value
	if err := value.As(&members); err != nil {
		return nil, err
	}
	found := map[string]any{}
	for name, one := range members {
		member, err := (&property{Kind: aString}).model(one)
		if err != nil {
			return nil, err
		}
		found[name] = member
	}
	return found, nil
}

func (p *property) objectModel(value tftypes.Value) (any, error) {
	var members map[string]tftypes.Value
	if err := value.As(&members); err != nil {
		return nil, err
	}
	found := map[string]any{}
	for name, one := range p.Properties {
		member, err := one.model(members[one.Attribute])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if member != nil {
			found[name] = member
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found, nil
}

// value is what the JSON of a model is in Terraform; what is not there is null.
func (p *property) value(model any) (tftypes.Value, error) {
	wanted := p.terraformType()
	if list, is := model.([]any); model == nil || is && len(list) == 0 {
		return tftypes.NewValue(wanted, nil), nil
	}
	switch p.Kind {
	case aList:
		return p.listValue(model)
	case aMap:
		return mapValue(model)
	case anObject:
		return p.objectValue(model)
	case aDocument:
		if _, is := model.(string); !is {
			text, err := json.Marshal(model)
			return tftypes.NewValue(wanted, string(text)), err
		}
	}
	return checked(wanted, model)
}

func checked(wanted tftypes.Type, model any) (tftypes.Value, error) {
	if err := tftypes.ValidateValue(wanted, model); err != nil {
		return tftypes.Value{}, fmt.Errorf("%v is no %s", model, wanted)
	}
	return tftypes.NewValue(wanted, model), nil
}

func (p *property) listValue(model any) (tftypes.Value, error) {
	list, is := model.([]any)
	if !is {
		return tftypes.Value{}, fmt.Errorf("%v is no list", model)
	}
	items := []tftypes.Value{}
	for _, one := range list {
		item, err := p.Item.value(one)
		if err != nil {
			return tftypes.Value{}, err
		}
		items = append(items, item)
	}
	return tftypes.NewValue(p.terraformType(), items), nil
}

func mapValue(model any) (tftypes.Value, error) {
	object, is := model.(map[string]any)
	if !is {
		return tftypes.Value{}, fmt.Errorf("%v is no map", model)
	}
	members := map[string]tftypes.Value{}
	for name, one := range object {
		member, err := checked(tftypes.String, one)
		if err != nil {
			return tftypes.Value{}, err
		}
		members[name] = member
	}
	return tftypes.NewValue(tftypes.Map{ElementType: tftypes.String}, members), nil
}

func (p *property) objectValue(model any) (tftypes.Value, error) {
	object, is := model.(map[string]any)
	if !is {
		return tftypes.Value{}, fmt.Errorf("%v is no object", model)
	}
	members := map[string]tftypes.Value{}
	for name, one := range p.Properties {
		member, err := one.value(object[name])
		if err != nil {
			return tftypes.Value{}, fmt.Errorf("%s: %w", name, err)
		}
		members[one.Attribute] = member
	}
	return tftypes.NewValue(p.terraformType(), members), nil
}

// known is the planned value with what was unknown in it as it turned out; lists are matched by place.
func (p *property) known(planned, actual tftypes.Value) (tftypes.Value, error) {
	if !planned.IsKnown() {
		return actual, nil
	}
	if planned.IsNull() || actual.IsNull() || planned.IsFullyKnown() {
		return nulled(planned)
	}
	switch p.Kind {
	case aList:
		return p.knownList(planned, actual)
	case aMap:
		return nulled(planned)
	}
	var plan, found map[string]tftypes.Value
	if err := planned.As(&plan); err != nil {
		return planned, err
	}
	if err := actual.As(&found); err != nil {
		return planned, err
	}
	members := map[string]tftypes.Value{}
	for _, one := range p.Properties {
		member, err := one.known(plan[one.Attribute], found[one.Attribute])
		if err != nil {
			return planned, err
		}
		members[one.Attribute] = member
	}
	return tftypes.NewValue(planned.Type(), members), nil
}

func (p *property) knownList(planned, actual tftypes.Value) (tftypes.Value, error) {
	var plan, found []tftypes.Value
	if err := planned.As(&plan); err != nil {
		return planned, err
	}
	if err := actual.As(&found); err != nil {
		return planned, err
	}
	items := []tftypes.Value{}
	for at, one := range plan {
		other := tftypes.NewValue(one.Type(), nil)
		if at < len(found) {
			other = found[at]
		}
		item, err := p.Item.known(one, other)
		if err != nil {
			return planned, err
		}
		items = append(items, item)
	}
	return tftypes.NewValue(planned.Type(), items), nil
}

// nulled is a value in which nothing is unknown any more.
func nulled(value tftypes.Value) (tftypes.Value, error) {
	return tftypes.Transform(value, func(_ *tftypes.AttributePath, one tftypes.Value) (tftypes.Value, error) {
		if !one.IsKnown() {
			return tftypes.NewValue(one.Type(), nil), nil
		}
		return one, nil
	})
}
