-- The account `appliance` may read every database and change none. Run again it says and does nothing.
SELECT 'CREATE ROLE appliance LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'appliance') \gexec
SELECT 'GRANT pg_read_all_data TO appliance' WHERE NOT pg_has_role('appliance', 'pg_read_all_data', 'MEMBER') \gexec
