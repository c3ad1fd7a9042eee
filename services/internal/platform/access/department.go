package access

import "fmt"

// Department is one of the services of the house, by the name that paths, flags and metadata use.
type Department string

// The departments.
const (
	Marketing       Department = "marketing"
	InsideSales     Department = "inside-sales"
	FieldSales      Department = "field-sales"
	CustomerSuccess Department = "customer-success"
	Insights        Department = "insights"
)

// Departments are all departments in the order of the relay.
func Departments() []Department {
	return []Department{Marketing, InsideSales, FieldSales, CustomerSuccess, Insights}
}

// ParseDepartment accepts a department's name.
func ParseDepartment(name string) (Department, error) {
	d := Department(name)
	if d.Package() == "" {
		return "", fmt.Errorf("unknown department %q; known: %v", name, Departments())
	}
	return d, nil
}

// Role is the role of the people who work there. Insights has no staff of its own and gives the empty role.
func (d Department) Role() Role {
	switch d {
	case Marketing:
		return RoleMarketing
	case InsideSales:
		return RoleInsideSales
	case FieldSales:
		return RoleFieldSales
	case CustomerSuccess:
		return RoleCustomerSuccess
	}
	return ""
}

// Package is the proto package of the department's own services, for instance `tasuki.insidesales.v1`; empty for an
// unknown department.
func (d Department) Package() string {
	switch d {
	case Marketing:
		return "tasuki.marketing.v1"
	case InsideSales:
		return "tasuki.insidesales.v1"
	case FieldSales:
		return "tasuki.fieldsales.v1"
	case CustomerSuccess:
		return "tasuki.customersuccess.v1"
	case Insights:
		return "tasuki.insights.v1"
	}
	return ""
}

// String is the name.
func (d Department) String() string { return string(d) }
