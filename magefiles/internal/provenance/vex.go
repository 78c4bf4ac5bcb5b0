package provenance

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// The statuses that a statement can have, in OpenVEX's words.
const (
	Affected           = "affected"
	NotAffected        = "not_affected"
	UnderInvestigation = "under_investigation"
)

// vexContext begins the contexts of all versions.
const vexContext = "https://openvex.dev/ns"

// NotPresent is the justification of what lacks the vulnerable code.
const NotPresent = "vulnerable_code_not_present"

// Justifications are the reasons that OpenVEX has for NotAffected.
var Justifications = []string{
	"component_not_present", NotPresent, "vulnerable_code_not_in_execute_path",
	"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist",
}

// VEXStatement says what a vulnerability is to packages.
type VEXStatement struct {
	ID       string
	Aliases  []string // sorted
	Products []string // purls of packages, sorted
	Part     string   // purl of what in them has it
	Status   string
	// Justification is one of Justifications where the status is NotAffected.
	Justification string
	// Note is what is done where it is Affected, or else what is to be said.
	Note string
}

// The members of an OpenVEX document, version 0.2.0, in its order.
type (
	vexDocument struct {
		Context    string         `json:"@context"`
		ID         string         `json:"@id"`
		Author     string         `json:"author"`
		Timestamp  string         `json:"timestamp"`
		Version    int            `json:"version"`
		Tooling    string         `json:"tooling"`
		Statements []vexStatement `json:"statements"`
	}
	vexStatement struct {
		Vulnerability vexVulnerability `json:"vulnerability"`
		Products      []vexProduct     `json:"products"`
		Status        string           `json:"status"`
		Notes         string           `json:"status_notes,omitempty"`
		Justification string           `json:"justification,omitempty"`
		Action        string           `json:"action_statement,omitempty"`
	}
	vexVulnerability struct {
		Name    string   `json:"name"`
		Aliases []string `json:"aliases,omitempty"`
	}
	vexProduct struct {
		ID    string         `json:"@id"`
		Parts []vexComponent `json:"subcomponents"`
	}
	vexComponent struct {
		ID string `json:"@id"`
	}
)

// OpenVEX is a document of the statements, of which there has to be one. Nothing in
// it is of the moment: the same statements of the same source make the same bytes.
// (The library of OpenVEX itself is not used: it brings SARIF and a framework for
// attestations along, for these few members.)
func OpenVEX(vendor string, source time.Time, statements []VEXStatement) ([]byte, error) {
	document := vexDocument{
		Context: vexContext + "/v0.2.0", Author: vendor, Timestamp: stamp(source), Version: 1, Tooling: tool,
	}
	for _, s := range statements {
		made := vexStatement{Vulnerability: vexVulnerability{s.ID, s.Aliases}, Status: s.Status, Justification: s.Justification}
		for _, product := range s.Products {
			made.Products = append(made.Products, vexProduct{product, []vexComponent{{s.Part}}})
		}
		if s.Status == Affected {
			made.Action = s.Note
		} else {
			made.Notes = s.Note
		}
		document.Statements = append(document.Statements, made)
	}
	content, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("writing an OpenVEX document: %w", err)
	}
	document.ID = Project + "/vex/" + identity(content).String()
	if content, err = json.Marshal(document); err != nil {
		return nil, fmt.Errorf("writing an OpenVEX document: %w", err)
	}
	return indented(content)
}

// ReadOpenVEX reads the statements of a document that OpenVEX has made.
func ReadOpenVEX(content []byte) ([]VEXStatement, error) {
	var document vexDocument
	if err := json.Unmarshal(content, &document); err != nil {
		return nil, fmt.Errorf("reading an OpenVEX document: %w", err)
	}
	if !strings.HasPrefix(document.Context, vexContext) || len(document.Statements) == 0 {
		return nil, fmt.Errorf("reading an OpenVEX document: its context is %.80q, and it has %d statements", document.Context, len(document.Statements))
	}
	var all []VEXStatement
	for _, s := range document.Statements {
		read := VEXStatement{
			ID: s.Vulnerability.Name, Aliases: s.Vulnerability.Aliases,
			Status: s.Status, Justification: s.Justification, Note: s.Notes + s.Action,
		}
		for _, product := range s.Products {
			read.Products = append(read.Products, product.ID)
			for _, part := range product.Parts {
				read.Part = part.ID
			}
		}
		all = append(all, read)
	}
	return all, nil
}
